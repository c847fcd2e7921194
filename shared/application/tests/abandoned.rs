//! Two hundred uploads that are abandoned at random points: after the sweeps, the bucket and the store have nothing but
//! the MOCs.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;

use moc_application::port::{Backlog, BucketError, Platform as _, Sessions as _};
use moc_domain::file::File;
use moc_domain::id::{LockToken, SessionId};
use moc_domain::limits::{SESSION_LIFETIME_MS, SWEEP_AFTER_MS, SWEEP_PAUSE_MS};
use moc_domain::time::Timestamp;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

const UPLOADS: usize = 200;
const SEEDS: u64 = 3;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const BYTES: &[u8] = b"%PDF-1.7 a castle of four parts";

/// A number below `end` that follows from the stage's seed.
fn below(stage: &Stage, end: usize) -> usize {
    let [a, b, ..] = stage.platform.random();
    usize::from(u16::from_be_bytes([a, b])) % end
}

fn registered(stage: &Stage, session: SessionId, name: &str) -> File {
    stage.register(session, Stage::declaration(name, BYTES), 10).unwrap()
}

fn unavailable() -> BucketError {
    BucketError::Unavailable("broken".into())
}

/// The points at which an upload can be abandoned, from its session to its MOC.
const POINTS: usize = 12;

/// Uploads until a point, with what has failed there.
fn abandon(stage: &Stage, point: usize, title: &str) {
    let session = stage.session().id;
    if point == 0 {
        return;
    }
    let first = registered(stage, session, "castle.pdf");
    let tower = registered(stage, session, "tower.pdf");
    stage.send(&tower, BYTES);
    // Any number of parts of the first file, some put straight to the bucket.
    let parts = BYTES.chunks(8).collect::<Vec<_>>();
    for (number, bytes) in (1..).zip(&parts[..below(stage, parts.len())]) {
        if below(stage, 2) == 0 {
            stage.part(&first, number, bytes).unwrap();
        } else {
            stage.direct(&first, u16::try_from(number).unwrap(), bytes).unwrap();
        }
    }
    match point {
        1 => {}
        // A registration without a record.
        2 => {
            stage.store_faults.before("INSERT INTO files", 1..=3, SqlError::unavailable("broken"));
            stage.bucket_faults.before("abort_upload", 1..=3, unavailable());
            assert!(stage.register(session, Stage::declaration("lost.pdf", BYTES), 10).is_err());
        }
        3 => {
            stage.complete(&tower, None).unwrap();
        }
        // The bucket has made the object, which nobody knows.
        4 => {
            stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
            assert!(stage.complete(&tower, None).is_err());
        }
        // The bucket shows the object only later.
        5 => {
            stage.memory.complete_slowly(true);
            stage.bucket_faults.after("complete_upload", 1..=1, BucketError::Silent("30 s".into()));
            assert!(stage.complete(&tower, None).is_err());
            stage.memory.complete_slowly(false);
        }
        6 => stage.cancel(session).unwrap(),
        // Both of its uploads are tried three times.
        7 => {
            stage.bucket_faults.before("abort_upload", 1..=6, unavailable());
            assert!(stage.cancel(session).is_err());
        }
        _ => finalize(stage, point, session, &first, &tower, title),
    }
}

fn finalize(stage: &Stage, point: usize, session: SessionId, first: &File, tower: &File, title: &str) {
    stage.send(first, BYTES);
    for file in [first, tower] {
        stage.complete(file, None).unwrap();
    }
    if point == 8 {
        // A finalize that crashes under its lock.
        let now = stage.platform.now();
        let token = LockToken::new(now, stage.platform.random());
        assert!(run(stage.store.lock_session(session, token, now, Timestamp::from_millis(0))).unwrap());
        return;
    }
    if point == 9 {
        // One that crashes after its MOC.
        stage.store_faults.before("INSERT INTO moc_files", 1..=3, SqlError::unavailable("broken"));
        assert!(stage.finalize(session, title).is_err());
        return;
    }
    if point == 10 {
        // A rejected file whose deletion fails, and which is replaced.
        let wrong = vec![b'?'; BYTES.len()];
        stage.upload(session, Stage::declaration("wrong.pdf", &wrong), &wrong);
        stage.bucket_faults.before("delete", 1..=6, unavailable());
        assert!(stage.finalize(session, title).is_err());
        stage.upload(session, Stage::declaration("wrong.pdf", BYTES), BYTES);
    }
    stage.finalize(session, title).unwrap();
}

/// The keys of all MOCs' files.
fn published(stage: &Stage) -> BTreeSet<String> {
    let statement = moc_store::Statement::new("SELECT object_key FROM moc_files", []);
    let results = run(moc_store::SqlExecutor::execute_all(&*stage.database, &[statement])).unwrap();
    let key = |row: &Vec<moc_store::Value>| match &row[0] {
        moc_store::Value::Text(key) => key.clone(),
        other => panic!("{other:?} is no key"),
    };
    results[0].iter().map(key).collect()
}

/// Sweeps with instances of which some requests fail, until nothing is due; returns how many sessions were removed.
fn sweep_to_the_end(stage: &Stage, retention_ms: Option<i64>) -> u64 {
    let mut removed = 0;
    for round in 0..50 {
        let sweeper = stage.another();
        if round % 3 != 2 {
            let call = u32::try_from(1 + below(stage, 40)).unwrap();
            sweeper.bucket_faults.before("", call..=call + 2, unavailable());
            sweeper.bucket_faults.after("", call + 20..=call + 22, unavailable());
            sweeper.store_faults.after("", call + 30..=call + 32, SqlError::unavailable("broken"));
        }
        let swept = sweeper.sweep_up(60, retention_ms);
        stage.platform.advance(SWEEP_PAUSE_MS);
        let Ok(swept) = swept else { continue };
        removed += swept.removed;
        if swept.left == Backlog::default() && swept.postponed == 0 && round > 10 {
            return removed;
        }
    }
    panic!("fifty sweeps leave something");
}

#[test]
fn two_hundred_abandoned_uploads_leave_the_mocs_and_nothing_else() {
    for seed in 0..SEEDS {
        let stage = Stage::default();
        for _ in 0..seed * 7 {
            stage.platform.random();
        }
        let mut count = [0; POINTS];
        for number in 0..UPLOADS {
            let point = below(&stage, POINTS);
            count[point] += 1;
            // Each instance has the faults of its own uploads alone.
            abandon(&stage.another(), point, &format!("Castle {number}"));
            stage.platform.advance(1_000);
        }
        assert!(count.iter().all(|count| *count > 3), "every point is there: {count:?}");
        assert!(stage.memory.uploads().len() > UPLOADS / 4);
        stage.platform.advance(SESSION_LIFETIME_MS);
        stage.memory.reveal();
        stage.platform.advance(SWEEP_AFTER_MS);
        sweep_to_the_end(&stage, None);

        let mocs = count[9] + count[10] + count[11];
        let published = published(&stage);
        assert_eq!((stage.rows("mocs"), published.len()), (mocs, 2 * mocs as usize + count[10] as usize), "{seed}");
        assert_eq!(stage.memory.keys().into_iter().collect::<BTreeSet<_>>(), published, "seed {seed}");
        assert_eq!(stage.memory.uploads(), [], "seed {seed}");
        assert_eq!((stage.rows("sessions"), stage.rows("files")), (mocs, published.len() as u64), "seed {seed}");

        stage.platform.advance(DAY_MS);
        sweep_to_the_end(&stage, Some(DAY_MS));
        assert_eq!(["sessions", "files", "parts"].map(|table| stage.rows(table)), [0, 0, 0], "seed {seed}");
        assert_eq!((stage.rows("mocs"), stage.rows("moc_files")), (mocs, published.len() as u64));
        assert_eq!(stage.memory.keys().into_iter().collect::<BTreeSet<_>>(), published, "seed {seed}");
    }
}
