//! Who may publish what.

use serde_json::json;

use crate::{KEY, SESSION, ask, connect, post, publish, settings, start, text};

fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

#[tokio::test]
async fn only_the_key_opens() {
    let address = start(settings()).await;
    let body = json!({"sessionId": SESSION, "userId": "user", "events": []}).to_string();
    let wrong =
        ["", "Authorization: \r\n", "Authorization: Bearer\r\n", "Authorization: Basic key\r\n", "X-API-Key: key\r\n"];
    let wrong = wrong.into_iter().map(str::to_owned);
    for headers in wrong.chain(["", "ke", "keys", "Key", "kez"].map(bearer)) {
        let response = post(address, &headers, body.as_bytes()).await;
        assert_eq!(response.status, 401, "{headers}");
        response.problem();
        assert!(response.head.contains("www-authenticate: bearer\r\n"), "{}", response.head);
    }
    for headers in [bearer(KEY), format!("authorization: bearer {KEY}\r\n")] {
        let response = post(address, &headers, body.as_bytes()).await;
        assert_eq!((response.status, response.body.as_str()), (204, ""), "{headers}");
    }
}

#[tokio::test]
async fn an_empty_key_is_nobodys() {
    let mut settings = settings();
    settings.key = String::new();
    let address = start(settings).await;
    for headers in ["", "Authorization: Bearer \r\n", "Authorization: Bearer\r\n"] {
        assert_eq!(post(address, headers, b"{}").await.status, 401, "{headers}");
    }
}

#[tokio::test]
async fn what_is_no_broadcast_is_400_and_reaches_nobody() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let events = |events: &str| format!(r#"{{"sessionId":"{SESSION}","userId":"user","events":{events}}}"#);
    let cases = [
        String::new(),
        "no JSON".into(),
        "[]".into(),
        "{}".into(),
        json!({"sessionId": SESSION, "events": []}).to_string(),
        json!({"userId": "user", "events": []}).to_string(),
        json!({"sessionId": SESSION, "userId": "user"}).to_string(),
        json!({"sessionId": 1, "userId": "user", "events": []}).to_string(),
        json!({"sessionId": SESSION, "userId": null, "events": []}).to_string(),
        events("{}"),
        events(r#"[{"n":1},2]"#),
        events(r#"[{"n":1},[]]"#),
        events(r#"[{"n":1},null]"#),
        events(r#"[{"n":1},"{}"]"#),
        events(r#"[{"n":1},{]"#),
        events(r#"[{"n":1}] "#) + "x",
        events(&format!(r#"[{{"n":1}},{{"deep":{}}}]"#, "[".repeat(100_000))),
    ];
    for body in cases {
        let response = post(address, &bearer(KEY), body.as_bytes()).await;
        assert_eq!(response.status, 400, "{body}");
        response.problem();
    }
    let mut not_utf8 = events(r#"[{"n":"?"}]"#).into_bytes();
    let place = not_utf8.iter().rposition(|byte| *byte == b'?').unwrap();
    not_utf8[place] = 0xff;
    assert_eq!(post(address, &bearer(KEY), &not_utf8).await.status, 400);

    publish(address, SESSION, &[json!({"n": 2})]).await;
    assert_eq!(text(&mut client).await, r#"{"n":2}"#);
}

#[tokio::test]
async fn a_body_has_one_mebibyte_at_most() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let body = |length: usize| {
        let head = format!(r#"{{"sessionId":"{SESSION}","userId":"user","events":[{{"n":""#);
        let tail = r#""}]}"#;
        format!("{head}{}{tail}", "x".repeat(length - head.len() - tail.len()))
    };
    let response = post(address, &bearer(KEY), body(1024 * 1024 + 1).as_bytes()).await;
    assert_eq!(response.problem()["status"], 413);
    // Who has no key learns nothing about sizes.
    assert_eq!(post(address, "", body(1024 * 1024 + 1).as_bytes()).await.status, 401);
    assert_eq!(post(address, &bearer(KEY), body(1024 * 1024).as_bytes()).await.status, 204);
    assert!(text(&mut client).await.len() > 1_000_000);
}

#[tokio::test]
async fn events_arrive_as_they_stood_in_the_body() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let event = r#"{"z":1,  "a":"\u00e9","big":12345678901234567890,"f":1.0}"#;
    let body = format!(r#"{{"events":[ {event} , {{}} ],"sessionId":"{SESSION}","userId":"user","more":true}}"#);
    assert_eq!(post(address, &bearer(KEY), body.as_bytes()).await.status, 204);
    assert_eq!(text(&mut client).await, event);
    assert_eq!(text(&mut client).await, "{}");
}

#[tokio::test]
async fn a_list_has_the_events_of_several_sessions() {
    const OTHER: &str = "0197a5b2-0000-7000-8000-000000000002";
    let address = start(settings()).await;
    let (mut client, mut other) = (connect(address, SESSION).await, connect(address, OTHER).await);
    let of = |session: &str, events: &str| format!(r#"{{"sessionId":"{session}","userId":"user","events":{events}}}"#);
    let body = format!(
        " [{},{},\n{}]",
        of(SESSION, r#"[{"n":1},{"n":2}]"#),
        of(OTHER, r#"[{"n":3}]"#),
        of(SESSION, r#"[{"n":4}]"#)
    );
    assert_eq!(post(address, &bearer(KEY), body.as_bytes()).await.status, 204);
    for number in [1, 2, 4] {
        assert_eq!(text(&mut client).await, format!(r#"{{"n":{number}}}"#));
    }
    assert_eq!(text(&mut other).await, r#"{"n":3}"#);
}

#[tokio::test]
async fn a_list_is_published_as_a_whole_or_not_at_all() {
    let address = start(settings()).await;
    let mut client = connect(address, SESSION).await;
    let good = format!(r#"{{"sessionId":"{SESSION}","userId":"user","events":[{{"n":1}}]}}"#);
    for bad in ["{}", "1", "[]", r#"["s","u",[]]"#, r#"{"sessionId":"s","userId":"user","events":[1]}"#] {
        let response = post(address, &bearer(KEY), format!("[{good},{bad}]").as_bytes()).await;
        assert_eq!(response.status, 400, "{bad}");
        response.problem();
    }
    publish(address, SESSION, &[json!({"n": 2})]).await;
    assert_eq!(text(&mut client).await, r#"{"n":2}"#);
}

#[tokio::test]
async fn a_port_in_use_is_one_sentence() {
    let address = start(settings()).await;
    let error = moc_broadcaster::Broadcaster::bind(address, settings()).await.err().unwrap();
    let sentence = format!("{error:#}");
    assert!(sentence.ends_with(&format!("{address} is already in use")), "{sentence}");
    assert!(sentence.contains("--broadcast-listen"), "{sentence}");
    assert_eq!(ask(address, "GET", "/", "", b"").await.status, 404);
}
