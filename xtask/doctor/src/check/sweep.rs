//! Whether sweeps work, and only where they should.

use crate::Deployment;
use crate::finding::Report;

/// The path that the documentation gives a public route for sweeps.
const SWEEP: &str = "/sweep";

pub fn check(deployment: &Deployment<'_>, report: &mut Report) {
    let Some(url) = &deployment.options.sweep_url else {
        return is_public(deployment, report);
    };
    match deployment.http.send("POST", url.as_str(), &[], Some(b"")) {
        Ok(response) if response.status == 200 && response.json().is_object() => {
            report.ok("sweep", format!("A sweep responds {}.", response.json()));
        }
        Ok(response) => report.problem(
            "sweep",
            format!("A sweep responds {}", response.summary()),
            format!("The route has to lead to the component that sweeps. {}", response.in_log()),
        ),
        Err(error) => report.problem(
            "sweep",
            format!("A sweep has no response: {error:#}."),
            "Check --sweep-url, and whether this machine may reach it.",
        ),
    }
}

/// A GET: it changes nothing, and the component rejects it by its method.
fn is_public(deployment: &Deployment<'_>, report: &mut Report) {
    match deployment.http.ask("GET", &deployment.at(SWEEP), &[]) {
        Ok(response) if response.status == 405 && response.lists("allow", "POST") => report.warning(
            "sweep",
            "Everyone can start sweeps, at /sweep.",
            "Let only the scheduler through your proxy to this route.",
        ),
        Ok(_) => report.skipped("sweep", "Needs the URL of the route for sweeps: --sweep-url. /sweep is not public."),
        Err(error) => report.problem("sweep", format!("GET /sweep has no response: {error:#}."), "Run this again."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;
    use crate::fake::{checked, checked_with, found, start};

    #[test]
    fn a_sweep_is_shown_and_a_public_route_is_a_warning() {
        let sweeper = |request: &crate::fake::Request| match request.line.as_str() {
            "POST /sweep" => (200, vec![], br#"{"pending":2}"#.to_vec()),
            _ => (405, vec![("Allow", "POST".to_owned())], vec![]),
        };
        let url = start(sweeper);
        assert_eq!(found(&checked(url.clone(), check))[0].0, Level::Warning);
        let mut options = crate::Options {
            url: url.clone(),
            token: None,
            origin: None,
            sweep_url: url.join("sweep").ok(),
            ca_file: None,
        };
        let (level, text) = found(&checked_with(&options, check)).remove(0);
        assert!(level == Level::Ok && text.contains(r#""pending":2"#), "{text}");
        options.sweep_url = url.join("other").ok();
        assert_eq!(found(&checked_with(&options, check))[0].0, Level::Problem);
        assert_eq!(found(&checked(start(|_| (404, vec![], vec![])), check))[0].0, Level::Skipped);
    }
}
