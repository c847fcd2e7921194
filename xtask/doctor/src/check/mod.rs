//! The checks, one module each.

mod auth;
mod clock;
mod cors;
mod service;
mod sweep;
mod tls;

use crate::finding::Report;
use crate::{Deployment, session};

pub use self::clock::compare as compare_clocks;

/// An id that no session has.
const NO_SESSION: &str = "00000000-0000-7000-8000-000000000000";

/// Makes every check; none of them but the first if that finds nobody.
pub fn all(deployment: &Deployment<'_>, report: &mut Report) {
    tls::check(deployment, report);
    if !service::check(deployment, report) {
        return;
    }
    clock::check(deployment, report);
    let access = auth::check(deployment, report);
    cors::check(deployment, report);
    match access {
        auth::Access::Granted => session::check(deployment, report),
        auth::Access::NoToken => {
            report.skipped("upload", "Needs a user's token: --token, or MOC_TOKEN in the environment.")
        }
        auth::Access::Rejected => report.skipped("upload", "Needs a token that the application accepts."),
    }
    sweep::check(deployment, report);
}
