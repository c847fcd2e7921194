//! What a probe is told.

use std::time::Duration;

use moc_tests::{Stack, assert_response, own_stack, path, wait_for};
use serde_json::json;

use super::faults::Faulty;

#[tokio::test]
async fn a_healthy_service_says_so() {
    let client = Stack::shared().client();
    let reply = client.get(path::HEALTH).await;
    assert_eq!(reply.success(200), json!({ "status": "ok" }));
    assert_response!("health", reply);
    let reply = client.post(path::HEALTH, &json!({})).await;
    let _ = reply.problem(405, "METHOD_NOT_ALLOWED");
    assert_eq!(reply.header("allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn a_bucket_that_is_down_is_reported_and_so_is_its_return() {
    own_stack!();
    let Faulty { proxy, stack } = Faulty::start();
    let client = stack.client();
    let becomes = async |status: u16| {
        let is_there = async || (client.get(path::HEALTH).await.status == status).then_some(());
        wait_for("another health", Duration::from_secs(20), is_there).await;
    };
    becomes(200).await;
    proxy.reject().await;
    becomes(503).await;
    let problem = client.get(path::HEALTH).await.problem(503, "S3_UNAVAILABLE");
    assert_eq!(problem["retryable"], true);
    proxy.listen();
    becomes(200).await;
}
