//! `cargo xtask doctor` on deployments that are healthy, and on others.

use moc_doctor::{Level, Options, Report};
use moc_tests::token::{claims, hs256, now};
use moc_tests::{Stack, components_apart, own_stack};
use serde_json::json;

use super::faults::Faulty;

const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
const PAGE: &str = "https://app.example";

fn options(stack: &Stack) -> Options {
    let url = stack.base_url().parse().expect("a URL");
    Options::of(url)
}

async fn diagnose(options: Options) -> Report {
    let diagnosing = tokio::task::spawn_blocking(move || moc_doctor::diagnose(&options));
    diagnosing.await.expect("no panic").expect("valid options")
}

/// The levels of the findings of one check.
fn levels(report: &Report, check: &str) -> Vec<Level> {
    report.findings().iter().filter(|finding| finding.check == check).map(|finding| finding.level).collect()
}

/// The text and the advice of the only problem.
#[track_caller]
fn problem(report: &Report) -> String {
    let problems: Vec<_> = report.findings().iter().filter(|finding| finding.level == Level::Problem).collect();
    let [problem] = problems[..] else { panic!("one problem, not\n{report}") };
    format!("{}: {} {}", problem.check, problem.text, problem.advice.clone().unwrap_or_default())
}

#[tokio::test]
async fn a_healthy_deployment_has_no_problems_and_nothing_stays_behind() {
    own_stack!();
    for mode in ["through", "direct"] {
        let stack =
            Stack::shared_with(&[("jwt_secret", SECRET), ("allowed_upload_origins", PAGE), ("upload_mode", mode)]);
        let user = format!("doctor-{mode}");
        let token = Some(hs256(SECRET, &claims(&user)));
        let report = diagnose(Options { token, origin: Some(PAGE.to_owned()), ..options(stack) }).await;
        // The S3 of the tests has no rules for pages, which matters only where they send parts to it.
        let bucket = if mode == "direct" { vec![Level::Problem] } else { vec![Level::Skipped] };
        assert_eq!(levels(&report, "bucket"), bucket, "{report}");
        assert_eq!(report.is_healthy(), mode == "through", "{report}");
        for check in
            ["version", "health", "headers", "clock", "auth", "token", "cors", "upload", "live progress", "cleanup"]
        {
            let levels = levels(&report, check);
            assert!(!levels.is_empty() && levels.iter().all(|level| *level == Level::Ok), "{check}:\n{report}");
        }
        assert_eq!(levels(&report, "files")[0], Level::Ok, "{report}");
        assert_eq!(stack.bucket().list(&format!("uploads/{user}/")).await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_application_that_needs_no_token_is_one_of_this_machine() {
    own_stack!();
    let report = diagnose(options(Stack::shared())).await;
    assert!(report.is_healthy(), "{report}");
    assert_eq!(levels(&report, "auth"), [Level::Ok]);
    assert_eq!(levels(&report, "upload"), [Level::Ok], "{report}");
}

#[tokio::test]
async fn a_token_that_is_missing_or_expired_is_explained() {
    own_stack!();
    let stack = Stack::shared_with(&[("jwt_secret", SECRET)]);
    let report = diagnose(options(stack)).await;
    assert!(report.is_healthy(), "{report}");
    assert_eq!((levels(&report, "auth"), levels(&report, "upload")), (vec![Level::Ok], vec![Level::Skipped]));
    let expired = Some(hs256(SECRET, &json!({ "sub": "alice", "exp": now() - 600 })));
    let problem = problem(&diagnose(Options { token: expired, ..options(stack) }).await);
    assert!(problem.starts_with("token: ") && problem.contains("It expired 60"), "{problem}");
}

#[tokio::test]
async fn a_page_of_an_origin_that_is_not_allowed_is_a_problem() {
    own_stack!();
    let origin = Some(PAGE.to_owned());
    let problem = problem(&diagnose(Options { origin, ..options(Stack::shared()) }).await);
    assert!(problem.starts_with("cors: ") && problem.contains("allowed_upload_origins"), "{problem}");
}

#[tokio::test]
async fn a_bucket_and_a_broadcaster_that_do_not_respond_are_explained() {
    own_stack!();
    let Faulty { proxy, stack } = Faulty::start();
    proxy.reject().await;
    let report = diagnose(options(&stack)).await;
    let health = report.findings().iter().find(|finding| finding.check == "health").expect("a finding");
    assert!(health.level == Level::Problem && health.text.contains("bucket"), "{report}");
    let upload = report.findings().iter().find(|finding| finding.check == "upload").expect("a finding");
    assert!(upload.level == Level::Problem && upload.text.contains("S3_UNAVAILABLE"), "{report}");
    assert!(levels(&report, "cleanup").contains(&Level::Ok), "{report}");

    let nobody = [("websocket_server_url", "ws://127.0.0.1:1")];
    let report = diagnose(options(Stack::shared_with(&nobody))).await;
    assert_eq!(levels(&report, "live progress"), [Level::Warning], "{report}");
    assert!(report.is_healthy(), "{report}");
}

#[tokio::test]
async fn a_sweep_that_everyone_can_start_is_a_warning() {
    own_stack!();
    components_apart!();
    let receiver = "http://127.0.0.1:1";
    let webhook = [("moc_finalize_webhook_url", receiver), ("moc_finalize_webhook_origin", receiver)];
    let stack = Stack::start_with_routes(&[("/sweep", "webhook-sender")], &webhook);
    assert_eq!(levels(&diagnose(options(&stack)).await, "sweep"), [Level::Warning]);
    let sweep_url = format!("{}/sweep", stack.base_url()).parse().ok();
    let report = diagnose(Options { sweep_url, ..options(&stack) }).await;
    assert_eq!(levels(&report, "sweep"), [Level::Ok], "{report}");
}
