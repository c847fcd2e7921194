//! No broadcaster, or one that is configured wrongly: no events, and uploads as ever.

use moc_tests::broadcaster::Broadcaster;
use moc_tests::{Stack, host, local_host, own_stack, unique_title};

use super::{KEY, complaints, warnings};

/// A whole upload without events, and without a word in the log.
async fn is_off(stack: &Stack, broadcaster: &Broadcaster) {
    let client = stack.client();
    let (session, _) = client.upload_pdf(100).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
    assert_eq!(broadcaster.connections(), 0);
    assert_eq!(complaints(stack).await, Vec::<String>::new());
    assert!(!stack.log().contains("progress events"), "{}", stack.log());
    assert!(!stack.log().contains(KEY), "{}", stack.log());
}

#[tokio::test]
async fn without_address_nothing_is_sent() {
    own_stack!();
    let broadcaster = Broadcaster::start();
    let origin = broadcaster.origin();
    for (origin, key) in [("", ""), (origin.as_str(), KEY)] {
        let variables = [("websocket_api_url", ""), ("websocket_api_origin", origin), ("websocket_api_key", key)];
        let stack = Stack::start(&variables);
        is_off(&stack, &broadcaster).await;
        assert!(warnings(&stack, "websocket").is_empty(), "{variables:?}: {}", stack.log());
    }
}

#[tokio::test]
async fn an_address_outside_its_origin_is_warned_of_and_not_used() {
    own_stack!();
    let broadcaster = Broadcaster::start();
    let url = broadcaster.url("/ws/broadcast");
    let other_host = broadcaster.origin().replace("127.0.0.1", "localhost");
    for origin in ["", "http://127.0.0.1:1", "https://broadcaster.example", &other_host] {
        let variables =
            [("websocket_api_url", url.as_str()), ("websocket_api_origin", origin), ("websocket_api_key", KEY)];
        let stack = Stack::start(&variables);
        is_off(&stack, &broadcaster).await;
        let warnings = Vec::from_iter(warnings(&stack, "websocket_api"));
        let [warning] = &warnings[..] else { panic!("one warning for {origin:?}, not {warnings:?}") };
        assert!(warning.contains("websocket_api_url") && warning.contains("websocket_api_origin"), "{warning}");
    }
}

#[test]
fn a_variable_that_cannot_be_read_is_warned_of_and_stops_nothing() {
    local_host!();
    let state = moc_tests::temporary_folder();
    for (name, value) in [
        ("websocket_broadcast_format", "xyz"),
        ("websocket_broadcast_format", "JSON"),
        ("websocket_api_url", "malformed"),
        ("websocket_api_url", "ftp://127.0.0.1/"),
        ("websocket_api_origin", "http://127.0.0.1:1/with/a/path"),
        ("websocket_server_url", "127.0.0.1:9001"),
        ("websocket_server_url", "http://127.0.0.1:9001"),
        ("websocket_emit_timeout_ms", "0"),
        ("websocket_emit_timeout_ms", "abc"),
        ("websocket_emit_timeout_ms", "-1"),
        ("websocket_emit_timeout_ms", "600000"),
    ] {
        let whole = [
            ("websocket_api_url", "http://127.0.0.1:1/ws/broadcast"),
            ("websocket_api_origin", "http://127.0.0.1:1"),
            ("websocket_api_key", KEY),
        ];
        let mut variables: Vec<(&str, &str)> = whole.into_iter().filter(|(given, _)| *given != name).collect();
        variables.push((name, value));
        let (rejected, said) = host::rejected(state.path(), &variables);
        assert!(!rejected, "{name}={value}: {said}");
        assert!(said.contains(&format!("warning: the variable {name} ")), "{name}={value}: {said}");
        assert!(!said.contains(KEY), "{said}");
    }
}
