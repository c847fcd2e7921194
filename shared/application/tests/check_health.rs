//! What a probe is told.

#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::cell::Cell;
use std::future::{pending, ready};
use std::rc::Rc;

use moc_application::check_health;
use moc_application::port::BucketError;
use moc_domain::error::{Error, ErrorKind};
use moc_fakes::stage::run;
use moc_fakes::{Faulty, FaultyExecutor, ManualPlatform, MemoryBucket, Script};
use moc_store::{SqlError, SqlStore, SqliteFile};

type Store = SqlStore<FaultyExecutor<SqliteFile, Rc<Script<SqlError>>>, ManualPlatform>;
type Bucket = Faulty<MemoryBucket, Rc<Script<BucketError>>>;

fn store(faults: Script<SqlError>, name: &str) -> Store {
    let database = Rc::new(SqliteFile::in_memory(name).unwrap());
    SqlStore::new(FaultyExecutor::new(database, Rc::new(faults)), ManualPlatform::at(0), Rc::new(Cell::new(false)))
}

fn bucket(faults: Script<BucketError>) -> Bucket {
    Faulty::new(MemoryBucket::default(), Rc::new(faults))
}

fn check(
    store: impl Future<Output = Result<Store, Error>>,
    bucket: impl Future<Output = Result<Bucket, Error>>,
) -> Result<(), ErrorKind> {
    run(check_health::run(store, bucket, &ManualPlatform::at(0))).map_err(|error| error.kind)
}

#[test]
fn it_is_healthy_if_both_respond() {
    assert_eq!(check(ready(Ok(store(Script::default(), "healthy"))), ready(Ok(bucket(Script::default())))), Ok(()));
}

#[test]
fn it_names_the_one_that_fails() {
    let faults = Script::default();
    faults.before("head", 1..=1, BucketError::Rejected("403".into()));
    let outcome = check(ready(Ok(store(Script::default(), "rejected"))), ready(Ok(bucket(faults))));
    assert_eq!(outcome, Err(ErrorKind::BucketUnavailable));
    let faults = Script::default();
    faults.before("FROM sessions", 1..=9, SqlError::permanent("gone"));
    let outcome = check(ready(Ok(store(faults, "gone"))), ready(Ok(bucket(Script::default()))));
    assert_eq!(outcome, Err(ErrorKind::StoreUnavailable));
}

#[test]
fn it_waits_for_neither_longer_than_two_seconds() {
    let outcome = check(pending(), ready(Ok(bucket(Script::default()))));
    assert_eq!(outcome, Err(ErrorKind::StoreUnavailable));
    let outcome = check(ready(Ok(store(Script::default(), "silent"))), pending());
    assert_eq!(outcome, Err(ErrorKind::BucketUnavailable));
}
