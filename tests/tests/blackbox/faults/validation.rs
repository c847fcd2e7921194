//! An S3 that is slow or fails while finalize validates: files are checked at once, and what fails is named.

use std::time::{Duration, Instant};

use moc_tests::content::pdf;
use moc_tests::fault_proxy::{Fault, Operation, Times};
use moc_tests::{Client, Stack, logged_json, own_stack, unique_title};
use serde_json::Value;

use super::{Case, Faulty};

/// How long S3 takes to respond.
const DELAY_MS: u64 = 150;

/// A session with so many completed files, the last of which is an instruction; gives that one's id.
async fn upload(client: &Client, session: &str, files: usize) -> String {
    let names: Vec<String> = (1..files).map(|number| format!("{number}.gif")).collect();
    let pictures = names.iter().map(|name| client.upload(session, name, "image", "image/gif", b"GIF89a.."));
    futures::future::join_all(pictures).await;
    client.upload(session, "castle.pdf", "instruction", "application/pdf", &pdf(100)).await
}

/// How long finalize says that its validation took, and would have taken one file after the other.
async fn timing(stack: &Stack, session: &str) -> [u64; 2] {
    let moc = stack.client().finalize(session, &unique_title()).await.success(201);
    let id = moc["id"].as_str().expect("an id");
    let line = stack.logged(&format!("\"moc\":\"{id}\"")).await;
    let line: Value = logged_json(&line);
    ["validationMs", "validationSequentialMs"].map(|field| line[field].as_u64().expect("a number"))
}

#[tokio::test]
async fn twenty_files_are_checked_in_three_delays() {
    own_stack!();
    let case = Case::start().await;
    let _ = upload(&case.client, &case.session, 20).await;
    for operation in [Operation::Head, Operation::Get] {
        case.fail(operation, Times::Always, Fault::Delay(Duration::from_millis(DELAY_MS)));
    }
    let [elapsed, sequential] = timing(&Faulty::shared().stack, &case.session).await;
    case.lift();
    assert!(sequential >= 20 * DELAY_MS, "{sequential} ms");
    // Two delays, as 16 run at once; the rest is for a busy machine.
    assert!((2 * DELAY_MS..6 * DELAY_MS).contains(&elapsed), "{elapsed} ms");
}

#[tokio::test]
async fn pv_hp_001_five_files_are_validated_in_parallel() {
    own_stack!();
    let case = Case::start().await;
    let _ = upload(&case.client, &case.session, 5).await;
    for operation in [Operation::Head, Operation::Get] {
        case.fail(operation, Times::Always, Fault::Delay(Duration::from_millis(DELAY_MS)));
    }
    let [elapsed, sequential] = timing(&Faulty::shared().stack, &case.session).await;
    case.lift();
    assert!(sequential >= 5 * DELAY_MS, "{sequential} ms");
    assert!((DELAY_MS..4 * DELAY_MS).contains(&elapsed), "{elapsed} ms");
}

/// The file that fails ends the others: nobody waits for an S3 that hangs.
#[tokio::test]
async fn the_first_failure_ends_the_rest() {
    own_stack!();
    let case = Case::start().await;
    let instruction = upload(&case.client, &case.session, 3).await;
    let wrong = case.client.upload(&case.session, "wrong.png", "image", "image/png", b"%PDF-1.7").await;
    Faulty::shared().proxy.fail(Operation::Head, &instruction, Times::Always, Fault::Silence);
    let began = Instant::now();
    let problem = case.client.finalize(&case.session, &unique_title()).await.problem(422, "FILE_VALIDATION_FAILED");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(problem["failures"][0]["fileId"], wrong.as_str());
    Faulty::shared().proxy.lift(&instruction);
}

#[tokio::test]
async fn how_many_are_checked_at_once_is_configured() {
    own_stack!();
    let Faulty { proxy, stack } = Faulty::shared();
    let stack = Stack::start_next_to_with(stack, &[("finalize_concurrency", "1")]);
    let session = stack.client().create_session().await;
    let _ = upload(&stack.client(), &session, 4).await;
    proxy.fail(Operation::Head, &session, Times::Always, Fault::Delay(Duration::from_millis(DELAY_MS)));
    let [elapsed, sequential] = timing(&stack, &session).await;
    proxy.lift(&session);
    assert!(sequential >= 4 * DELAY_MS && elapsed >= sequential, "{elapsed} ms, {sequential} ms");
}

#[tokio::test]
async fn a_registration_that_a_finalize_overtakes_says_so() {
    own_stack!();
    let case = Case::start().await;
    let (proxy, session) = (&Faulty::shared().proxy, case.session.clone());
    let file = upload(&case.client, &session, 1).await;
    case.fail(Operation::Create, Times::Always, Fault::Hold);
    let register = async |name| case.client.try_register(&session, name, "image", "image/gif", 7).await;
    let registrations = async { futures::join!(register("1.gif"), register("2.gif")) };
    let finalize = async {
        proxy.wait_for(Operation::Create, &session, 3).await;
        proxy.fail(Operation::Head, &file, Times::Always, Fault::Hold);
        case.client.finalize(&session, &unique_title()).await
    };
    let lift = async {
        proxy.wait_for(Operation::Head, &file, 1).await;
        case.lift();
        proxy.wait_for(Operation::Abort, &session, 2).await;
        proxy.lift(&file);
    };
    let ((first, second), finalized, ()) = futures::join!(registrations, finalize, lift);
    for reply in [first, second] {
        assert_eq!(reply.problem(409, "FINALIZE_IN_PROGRESS")["retryable"], true);
    }
    let _ = finalized.success(201);
    let _ = register("3.gif").await.problem(409, "SESSION_NOT_ACTIVE");
}

#[tokio::test]
async fn the_file_that_could_not_be_checked_is_in_the_log() {
    own_stack!();
    let case = Case::start().await;
    let file = upload(&case.client, &case.session, 3).await;
    Faulty::shared().proxy.fail(Operation::Head, &file, Times::Always, Fault::internal_error());
    let _ = case.client.finalize(&case.session, &unique_title()).await.problem(503, "S3_UNAVAILABLE");
    let line = Faulty::shared().stack.logged(&format!("file {file}: ")).await;
    assert!(line.contains("S3_UNAVAILABLE"), "{line}");
    Faulty::shared().proxy.lift(&file);
    let _ = case.client.finalize(&case.session, &unique_title()).await.success(201);
}
