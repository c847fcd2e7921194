//! The webhooks of finalized sessions, over a store.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::deliver_webhook::{self, DeliveryOutcome, Swept};
use moc_application::finalize::FinalizeOutcome;
use moc_application::port::Outbox as _;
use moc_domain::id::MocId;
use moc_domain::limits::{FINALIZE_HEAL_AFTER_MS, WEBHOOK_LEASE_MS};
use moc_fakes::stage::run;
use moc_fakes::{MemoryReceiver, Stage};
use moc_store::{SqlError, SqlExecutor as _, Statement, Value};

fn published(stage: &Stage) -> MocId {
    stage.finalize(stage.uploaded().id, "Castle").unwrap().moc.id
}

fn deliver(stage: &Stage, receiver: &MemoryReceiver, moc: MocId) -> Option<DeliveryOutcome> {
    run(deliver_webhook::run(&*stage.store, receiver, &stage.platform, moc)).ok()
}

/// The status and the attempts of the only delivery.
fn delivery(stage: &Stage) -> (String, i64) {
    let select = Statement::new("SELECT status, attempts FROM webhook_deliveries", []);
    let rows = run(stage.database.execute_all(&[select])).unwrap().remove(0);
    match rows[0].as_slice() {
        [Value::Text(status), Value::Integer(attempts)] => (status.clone(), *attempts),
        other => panic!("{other:?}"),
    }
}

fn set_attempts(stage: &Stage, attempts: u32) {
    let sql = format!("UPDATE webhook_deliveries SET attempts = {attempts}, next_attempt_at = 0");
    run(stage.database.execute_all(&[Statement::new(sql, [])])).unwrap();
}

#[test]
fn is_delivered_once() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = published(&stage);
    assert_eq!(deliver(&stage, &receiver, moc), Some(DeliveryOutcome::Delivered));
    assert_eq!(deliver(&stage, &receiver, moc), Some(DeliveryOutcome::Nothing));
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept::default());
    assert_eq!((receiver.received().len(), delivery(&stage)), (1, ("delivered".into(), 1)));
}

#[test]
fn what_was_never_claimed_is_due_at_once() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = published(&stage);
    stage.store_faults.before("UPDATE webhook_deliveries", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(deliver(&stage, &receiver, moc), None);
    assert_eq!((receiver.received().len(), delivery(&stage)), (0, ("pending".into(), 0)));
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 1, failed: 0 });
    assert_eq!((receiver.received().len(), delivery(&stage)), (1, ("delivered".into(), 1)));
}

/// The claim was made, so the delivery waits until its lease ends.
#[test]
fn a_claim_whose_result_was_lost_ends_with_its_lease() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = published(&stage);
    stage.store_faults.after("UPDATE webhook_deliveries", 1..=1, SqlError::unavailable("broken"));
    assert_eq!(deliver(&stage, &receiver, moc), Some(DeliveryOutcome::Nothing));
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept::default());
    stage.platform.advance(WEBHOOK_LEASE_MS);
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 1, failed: 0 });
    assert_eq!(delivery(&stage), ("delivered".into(), 2));
}

/// The receiver has it, and the store does not know.
#[test]
fn comes_again_under_the_same_id_if_its_end_was_not_recorded() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = published(&stage);
    stage.store_faults.before("SET status = ?3, cause", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(deliver(&stage, &receiver, moc), None);
    stage.platform.advance(WEBHOOK_LEASE_MS);
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 1, failed: 0 });
    let events: Vec<_> = receiver.received().into_iter().map(|claim| claim.event).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0], events[1]);
}

#[test]
fn a_resumed_finalize_sends_the_webhook_of_the_one_that_was_interrupted() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let id = stage.uploaded().id;
    stage.store_faults.before("INSERT INTO moc_files", 1..=3, SqlError::unavailable("broken"));
    assert!(stage.finalize(id, "Castle").is_err());
    // The MOC does not have its files yet.
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept::default());
    stage.platform.advance(FINALIZE_HEAL_AFTER_MS);
    let resumed = stage.finalize(id, "Castle").unwrap();
    assert_eq!(resumed.outcome, FinalizeOutcome::Resumed);
    assert_eq!(deliver(&stage, &receiver, resumed.moc.id), Some(DeliveryOutcome::Delivered));
    assert_eq!((receiver.received().len(), delivery(&stage)), (1, ("delivered".into(), 1)));
}

#[test]
fn is_given_up_after_four_attempts() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    let moc = published(&stage);
    receiver.fail(4);
    assert_eq!(deliver(&stage, &receiver, moc), Some(DeliveryOutcome::Failed("503".into())));
    assert_eq!(receiver.given_up(), [(moc, "503".to_owned())]);
    assert_eq!(delivery(&stage), ("failed".into(), 4));
    assert_eq!(run(stage.store.pending()).unwrap(), 0);
}

#[test]
fn the_last_attempt_is_made_again_if_a_crash_has_interrupted_it() {
    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    published(&stage);
    set_attempts(&stage, 4);
    receiver.fail(1);
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 0, failed: 1 });
    assert_eq!(delivery(&stage), ("failed".into(), 5));

    let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
    published(&stage);
    set_attempts(&stage, 16);
    assert_eq!(stage.sweep(&receiver).unwrap(), Swept { delivered: 0, failed: 1 });
    assert_eq!((receiver.received().len(), delivery(&stage)), (0, ("failed".into(), 17)));
}

/// Another instance has claimed it since.
#[test]
fn a_late_response_changes_nothing() {
    for fails in [0, 1] {
        let (stage, receiver) = (Stage::default(), MemoryReceiver::default());
        let moc = published(&stage);
        receiver.fail(fails);
        let other = stage.another();
        let ended = if fails == 0 { "SET status = ?3, cause" } else { "SET next_attempt_at = ?3, cause" };
        stage.store_faults.meanwhile(ended, 1, move || {
            other.platform.advance(WEBHOOK_LEASE_MS);
            let now = moc_application::port::Platform::now(&other.platform);
            assert!(run(other.store.claim(moc, now)).unwrap().is_some());
        });
        let outcome = if fails == 0 { DeliveryOutcome::Delivered } else { DeliveryOutcome::Nothing };
        assert_eq!(deliver(&stage, &receiver, moc), Some(outcome));
        assert_eq!(delivery(&stage), ("pending".into(), 2));
    }
}
