//! Finalize, interrupted between every two of its steps: lock, validation, MOC, files, session.

use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{Stack, own_sqlite, unique_title};

use super::{BEFORE_END, break_step, mend_step, store_is_unavailable};
use crate::crash::{is_whole, let_lock_go_stale, moc_count, ready, status};
use crate::faults::Faulty;

const BEFORE_LOCK: &str = "BEFORE UPDATE ON sessions WHEN NEW.status = 'finalizing'";
const BEFORE_UNLOCK: &str = "BEFORE UPDATE ON sessions WHEN NEW.status = 'active'";
const BEFORE_MOC: &str = "BEFORE INSERT ON mocs";
const BEFORE_MOC_FILES: &str = "BEFORE INSERT ON moc_files";
const BEFORE_LAST_MOC_FILE: &str = "BEFORE INSERT ON moc_files WHEN NEW.category = 'image'";

/// What fails before the MOC stands gives the lock back, and leaves nothing.
#[tokio::test]
async fn a_step_before_the_moc_fails() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    for step in [BEFORE_LOCK, BEFORE_MOC] {
        let (session, title) = (ready(&client).await, unique_title());
        break_step(&stack, step);
        store_is_unavailable(&client.finalize(&session, &title).await);
        assert_eq!((status(&stack, &session).as_str(), moc_count(&stack, &session)), ("active", 0), "{step}");
        store_is_unavailable(&client.finalize(&session, &title).await);
        mend_step(&stack);
        let moc = client.finalize(&session, &title).await.success(201);
        assert_eq!(moc["resumed"], serde_json::Value::Null, "{step}");
        is_whole(&stack, &session, &moc, 3).await;
    }
}

/// What fails after it leaves the lock, and the next call ends the work.
#[tokio::test]
async fn a_step_after_the_moc_fails() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    for step in [BEFORE_MOC_FILES, BEFORE_LAST_MOC_FILE, BEFORE_END] {
        let (session, title) = (ready(&client).await, unique_title());
        break_step(&stack, step);
        store_is_unavailable(&client.finalize(&session, &title).await);
        assert_eq!((status(&stack, &session).as_str(), moc_count(&stack, &session)), ("finalizing", 1), "{step}");
        // As long as it fails, it fails the same way, and makes nothing twice.
        store_is_unavailable(&client.finalize(&session, &title).await);
        assert_eq!(moc_count(&stack, &session), 1, "{step}");
        mend_step(&stack);
        // The title counts that the MOC was made with.
        let moc = client.finalize(&session, "Another title").await.success(200);
        assert_eq!((&moc["resumed"], &moc["title"]), (&true.into(), &title.into()), "{step}");
        is_whole(&stack, &session, &moc, 3).await;
    }
}

/// The same states as a crash leaves them, set in the store: with a fresh lock and with a stale one.
#[tokio::test]
async fn a_crash_after_the_moc_is_healed() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let heal = async |lost: &str, stale: bool| {
        let (session, title) = (ready(&client).await, unique_title());
        let made = client.finalize(&session, &title).await.success(201);
        let database = stack.sqlite();
        let moc = made["id"].as_str().expect("an id");
        database.execute(&format!("DELETE FROM moc_files WHERE moc_id = ?1 AND {lost}"), [moc]).expect("rows");
        let locked = "UPDATE sessions SET status = 'finalizing', lock_token = 'dead', moc_id = NULL WHERE id = ?1";
        assert_eq!(database.execute(locked, [&session]).expect("the session"), 1);
        drop(database);
        if stale {
            let_lock_go_stale(&stack, &session);
        }
        let healed = client.finalize(&session, &title).await.success(200);
        assert_eq!(healed["resumed"], true, "{lost} {stale}");
        assert_eq!((&healed["id"], &healed["files"]), (&made["id"], &made["files"]), "{lost} {stale}");
        is_whole(&stack, &session, &healed, 3).await;
    };
    let none_some_all = ["1", "category = 'instruction'", "0"];
    let heals = none_some_all.into_iter().flat_map(|lost| [heal(lost, false), heal(lost, true)]);
    futures::future::join_all(heals).await;
}

/// The MOC was inserted and the session not updated: the second finalize returns that MOC, and so does every later
/// one. The title is the first one's.
#[tokio::test]
async fn rf_hp_001_a_partial_finalize_is_resumed() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let (session, title) = (ready(&client).await, unique_title());
    break_step(&stack, BEFORE_END);
    store_is_unavailable(&client.finalize(&session, &title).await);
    assert_eq!((status(&stack, &session).as_str(), moc_count(&stack, &session)), ("finalizing", 1));
    mend_step(&stack);
    let both = [client.finalize(&session, "Second title"), client.finalize(&session, "Third title")];
    let [second, third] = <[_; 2]>::try_from(futures::future::join_all(both).await).expect("two responses");
    let mocs = [second.success(200), third.success(200)];
    assert!(mocs.iter().any(|moc| moc["resumed"] == true), "{mocs:?}");
    for moc in &mocs {
        assert!(moc["resumed"] == true || moc["idempotent"] == true, "{moc}");
        assert_eq!((&moc["id"], &moc["title"]), (&mocs[0]["id"], &title.as_str().into()));
    }
    let again = client.finalize(&session, &title).await.success(200);
    assert_eq!((&again["idempotent"], &again["resumed"]), (&true.into(), &serde_json::Value::Null));
    is_whole(&stack, &session, &again, 3).await;
}

/// Many calls find the same half of a MOC: one MOC comes of it, whole, and all of them return it.
#[tokio::test]
async fn many_calls_heal_at_once() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let session = ready(&client).await;
    break_step(&stack, BEFORE_MOC_FILES);
    store_is_unavailable(&client.finalize(&session, "Many").await);
    mend_step(&stack);
    let calls = (0..12).map(|_| client.finalize(&session, "Many"));
    let mut first = None;
    for reply in futures::future::join_all(calls).await {
        let moc = reply.success(200);
        assert!(moc["resumed"] == true || moc["idempotent"] == true, "{moc}");
        let first = first.get_or_insert_with(|| moc.clone());
        assert_eq!((&first["id"], &first["files"]), (&moc["id"], &moc["files"]));
    }
    is_whole(&stack, &session, &first.expect("responses"), 3).await;
}

/// One that wakes up after another one has taken its lock, failed and given it back: files may have come since that
/// nobody has checked.
#[tokio::test]
async fn a_finalize_that_has_lost_its_lock_makes_no_moc() {
    own_sqlite!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let (session, title) = (ready(&client).await, unique_title());
    proxy.fail(Operation::Head, &session, Times::First(3), Fault::Hold);
    let fails_meanwhile = async {
        proxy.wait_for(Operation::Head, &session, 3).await;
        let_lock_go_stale(&stack, &session);
        break_step(&stack, BEFORE_MOC);
        store_is_unavailable(&client.finalize(&session, &title).await);
        mend_step(&stack);
        let _ = client.upload(&session, "wrong.png", "image", "image/png", b"GIF89a..").await;
        proxy.lift(&session);
    };
    let (slow, ()) = futures::join!(client.finalize(&session, &title), fails_meanwhile);
    assert_eq!(slow.problem(409, "FINALIZE_IN_PROGRESS")["retryable"], true);
    assert_eq!((status(&stack, &session).as_str(), moc_count(&stack, &session)), ("active", 0));
    let _ = client.finalize(&session, &title).await.problem(422, "FILE_VALIDATION_FAILED");
}

/// The store fails twice: at the MOC, and where the lock is given back. The lock goes stale.
#[tokio::test]
async fn a_lock_that_cannot_be_given_back_goes_stale() {
    own_sqlite!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let (session, title) = (ready(&client).await, unique_title());
    break_step(&stack, BEFORE_MOC);
    stack
        .sqlite()
        .execute_batch(&format!("CREATE TRIGGER stuck {BEFORE_UNLOCK} BEGIN SELECT RAISE(ABORT, ''); END"))
        .expect("a trigger");
    store_is_unavailable(&client.finalize(&session, &title).await);
    assert_eq!(status(&stack, &session), "finalizing");
    stack.sqlite().execute_batch("DROP TRIGGER stuck").expect("the trigger was there");
    mend_step(&stack);
    let_lock_go_stale(&stack, &session);
    let moc = client.finalize(&session, &title).await.success(201);
    is_whole(&stack, &session, &moc, 3).await;
}
