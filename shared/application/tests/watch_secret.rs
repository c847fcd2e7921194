//! The secret that tokens for watching are signed with where none is configured.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::rc::Rc;

use moc_application::port::{Platform as _, Secrets as _};
use moc_application::watch_secret::{self, KnownSecret};
use moc_domain::error::{Error, ErrorKind};
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

fn find(stage: &Stage, known: &KnownSecret) -> Result<Rc<str>, Error> {
    run(watch_secret::find(&*stage.store, &stage.platform, known))
}

#[test]
fn is_made_once_and_is_the_same_in_every_instance() {
    let stage = Stage::default();
    let made = find(&stage, &KnownSecret::default()).unwrap();
    assert_eq!(made.len(), 64);
    assert!(made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    let other = stage.another();
    let known = KnownSecret::default();
    assert_eq!(find(&other, &known).unwrap(), made);
    // An instance asks once.
    assert_eq!(find(&other, &known).unwrap(), made);
    assert_eq!(other.store_faults.calls().len(), 1);
}

#[test]
fn is_found_again_after_the_store_was_unavailable() {
    let stage = Stage::default();
    let known = KnownSecret::default();
    // The schema is made at the first use.
    let _ = stage.session();
    stage.store_faults.before("FROM secrets", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(find(&stage, &known).unwrap_err().kind, ErrorKind::StoreUnavailable);
    assert!(find(&stage, &known).is_ok());
}

#[test]
fn too_short_a_secret_signs_nothing() {
    let stage = Stage::default();
    run(stage.store.make_secret("watch-tokens", &"x".repeat(31), stage.platform.now())).unwrap();
    assert_eq!(find(&stage, &KnownSecret::default()).unwrap_err().kind, ErrorKind::Internal);
}
