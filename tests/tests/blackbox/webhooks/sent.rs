//! What the receiver gets.

use moc_tests::host::HostKind;
use moc_tests::receiver::Reaction;
use moc_tests::{components_apart, own_database, work_after_responses};
use serde_json::json;
use standardwebhooks::Webhook;

use super::{Hooked, QUERY, SECRET, id_of, is_signed};

#[tokio::test]
async fn wh_hp_001_a_finalize_sends_its_webhook() {
    own_database!();
    let hooked = Hooked::start();
    let moc = hooked.finalize().await;
    let received = hooked.receiver.wait_for(id_of(&moc), 1).await.remove(0);
    assert_eq!((received.method.as_str(), &*received.path), ("POST", &*format!("/hooks/moc?{QUERY}")));
    let text = |field: &str| moc[field].as_str().expect("text").to_owned();
    let expected = format!(
        r#"{{"event":"moc.finalized","mocId":"{}","sessionId":"{}","userId":"dev-user","timestamp":"{}"}}"#,
        text("id"),
        text("sessionId"),
        text("createdAt"),
    );
    assert_eq!(String::from_utf8_lossy(&received.body), expected);

    let names = [
        "content-length",
        "content-type",
        "host",
        "user-agent",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    ];
    assert_eq!(received.header_names(), names);
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("user-agent"), Some(concat!("moc-uploads/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(received.header("webhook-id"), Some(format!("msg_{}", id_of(&moc)).as_str()));
    let reference = Webhook::new(SECRET).expect("a secret");
    is_signed(&received, &reference);

    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 1));
    // A MOC has one event, whoever asks for it.
    let session = moc["sessionId"].as_str().expect("an id");
    let again = hooked.stack.client().finalize(session, "Again").await.success(200);
    assert_eq!(again["idempotent"], true);
    if HostKind::chosen().runs_components_apart() {
        assert_eq!(hooked.deliver(id_of(&moc)).await.status, 404);
    }
    assert_eq!(hooked.receiver.received().len(), 1);
    assert_eq!(hooked.errors(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn any_other_text_signs_as_it_is() {
    own_database!();
    let secret = "a secret that is no base64";
    let hooked = Hooked::start_with(&[("moc_finalize_webhook_secret", secret)]);
    let moc = hooked.finalize().await;
    let received = hooked.receiver.wait_for(id_of(&moc), 1).await.remove(0);
    is_signed(&received, &Webhook::from_bytes(secret.as_bytes().to_vec()).expect("a secret"));
}

/// While a secret is rotated, a receiver may know either.
#[tokio::test]
async fn the_previous_secret_signs_too() {
    own_database!();
    let new = "whsec_bmV3LXNlY3JldC1vZi0yNC1ieXRlcy1vci1tb3Jl";
    let hooked =
        Hooked::start_with(&[("moc_finalize_webhook_secret", new), ("moc_finalize_webhook_secret_previous", SECRET)]);
    let moc = hooked.finalize().await;
    let received = hooked.receiver.wait_for(id_of(&moc), 1).await.remove(0);
    for secret in [new, SECRET] {
        is_signed(&received, &Webhook::new(secret).expect("a secret"));
    }
    let signatures = received.header("webhook-signature").expect("signatures");
    assert_eq!(signatures.split(' ').filter(|signature| signature.starts_with("v1,")).count(), 2, "{signatures}");
}

#[tokio::test]
async fn without_a_secret_nothing_is_signed() {
    own_database!();
    let hooked = Hooked::start_with(&[]);
    let moc = hooked.finalize().await;
    let received = hooked.receiver.wait_for(id_of(&moc), 1).await.remove(0);
    assert!(!received.headers.contains_key("webhook-signature"), "{:?}", received.headers);
    assert!(received.header("webhook-timestamp").is_some());
    assert!(hooked.settled(id_of(&moc)).await.is("delivered", 1));
}

/// What decides is the status: the body may be whatever it likes.
#[tokio::test]
async fn any_2xx_is_a_success_and_its_body_is_not_waited_for() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    hooked.receiver.script([Reaction::Response(204), Reaction::Response(299)], Reaction::Endless);
    for _ in 0..3 {
        let moc = hooked.leave(1).await.remove(0);
        assert_eq!(hooked.deliver(&moc).await.status, 204);
        assert!(hooked.row(&moc).is_some_and(|row| row.is("delivered", 1) && row.cause.is_none()));
    }
}

#[tokio::test]
async fn the_context_of_the_trace_is_passed_on() {
    own_database!();
    components_apart!();
    let hooked = Hooked::start();
    let mocs = hooked.leave(2).await;
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let client = hooked.stack.client();
    let request = client.request(reqwest::Method::POST, &format!("/deliveries/{}", mocs[0]));
    let request = request.header("traceparent", traceparent).header("tracestate", "vendor=1");
    assert_eq!(client.send(request).await.status, 204);
    let received = hooked.receiver.wait_for(&mocs[0], 1).await.remove(0);
    assert_eq!((received.header("traceparent"), received.header("tracestate")), (Some(traceparent), Some("vendor=1")));
    work_after_responses!();
    // The other one is swept up after that response, and belongs to no trace.
    let swept = hooked.receiver.wait_for(&mocs[1], 1).await.remove(0);
    assert!(!swept.headers.contains_key("traceparent") && !swept.headers.contains_key("tracestate"));
}

/// Other languages sign and verify the user's name as the bytes that it is.
#[tokio::test]
async fn names_that_are_not_ascii_are_signed_as_utf_8() {
    own_database!();
    let hooked = Hooked::start_with(&[("moc_finalize_webhook_secret", SECRET), ("dev_user_sub", "Zoë \"Ø\"")]);
    let moc = hooked.finalize().await;
    let received = hooked.receiver.wait_for(id_of(&moc), 1).await.remove(0);
    let body: serde_json::Value = serde_json::from_slice(&received.body).expect("JSON");
    assert_eq!(body["userId"], json!("Zoë \"Ø\""));
    is_signed(&received, &Webhook::new(SECRET).expect("a secret"));
}
