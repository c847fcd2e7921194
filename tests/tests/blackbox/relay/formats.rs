//! What each kind of broadcaster is sent.

use moc_tests::broadcaster::{Broadcaster, Mode, Post};
use moc_tests::content::pdf;
use moc_tests::{own_stack, path, sharing_instances};
use serde_json::{Value, json};

use super::{KEY, Relayed, complaints, of_one_step, timeless};

/// The POSTs of a session's registration and of its only part, with what their events must be.
struct Published {
    session: String,
    posts: Vec<Post>,
    registered: Value,
    part: [Value; 2],
}

/// Creates a session, registers a file, sends its part: the POSTs of the latter two.
async fn publish(relayed: &Relayed) -> Published {
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 123).await;
    let sent = client.put_part(&session, &file, 1, pdf(123)).await;
    let etag = sent.header("etag").expect("an ETag");
    let mut posts = relayed.broadcaster.posts_of(&session);
    assert_eq!(posts.len(), 3, "{posts:?}");
    posts.remove(0);
    for post in &posts {
        assert_eq!(post.method, "POST");
        assert_eq!(post.header("content-type"), Some("application/json"));
    }
    let progress = |parts: u64, bytes: u64| {
        let (total, all) = (1, 123);
        json!({ "partsCompleted": parts, "partsTotal": total, "bytesCompleted": bytes, "bytesTotal": all })
    };
    let registered = json!({
        "type": "file_registered", "sessionId": session, "fileId": file, "progress": progress(0, 0),
        "metadata": { "category": "instruction", "name": "castle.pdf" },
    });
    let part = [
        json!({
            "type": "part_uploaded", "sessionId": session, "fileId": file, "progress": progress(1, 123),
            "metadata": { "partNumber": 1, "etag": etag },
        }),
        json!({
            "type": "upload.part.completed", "sessionId": session, "fileId": file, "partNumber": 1, "etag": etag,
            "totalParts": 1, "completedParts": 1, "percentComplete": 100,
        }),
    ];
    Published { session, posts, registered, part }
}

/// The events of one step without their number: a lifecycle event, and one that has no time.
#[track_caller]
fn first_timeless(events: &Value) -> Value {
    let (mut events, _) = of_one_step(events.as_array().expect("a list of events"));
    events[0] = timeless(&events[0]);
    events.into()
}

/// As [`first_timeless`], of a lifecycle event alone.
#[track_caller]
fn only_timeless(event: &Value) -> Value {
    first_timeless(&json!([event]))[0].take()
}

#[track_caller]
fn has_bearer(post: &Post) {
    assert_eq!(post.header("authorization"), Some(format!("Bearer {KEY}").as_str()), "{post:?}");
    assert_eq!(post.header("x-api-key"), None, "{post:?}");
}

#[tokio::test]
async fn json_is_a_batch_of_events() {
    own_stack!();
    let relayed = Relayed::shared();
    let Published { session, posts, registered, part } = publish(relayed).await;
    for (post, expected) in posts.iter().zip([json!([registered]), json!(part)]) {
        assert_eq!(post.path, "/ws/broadcast");
        has_bearer(post);
        // Nothing of the client's, or of a proxy's, gets this far.
        assert_eq!(post.header_names(), ["authorization", "content-length", "content-type", "host"]);
        assert_eq!(post.header("host").map(|host| format!("http://{host}")), Some(relayed.broadcaster.origin()));
        let mut body = post.body.clone();
        body["events"] = first_timeless(&body["events"]);
        assert_eq!(body, json!({ "sessionId": session, "userId": "dev-user", "events": expected }));
    }
}

#[tokio::test]
async fn json_batch_is_a_list_of_batches() {
    own_stack!();
    let relayed = Relayed::start("/ws/broadcast", &[("websocket_broadcast_format", "json-batch")]);
    let Published { session, posts, registered, part } = publish(&relayed).await;
    for (post, expected) in posts.iter().zip([json!([registered]), json!(part)]) {
        has_bearer(post);
        let mut body = post.body.clone();
        body[0]["events"] = first_timeless(&body[0]["events"]);
        assert_eq!(body, json!([{ "sessionId": session, "userId": "dev-user", "events": expected }]));
    }
}

/// The events of one POST of the format `json-batch`, with their sessions, in order.
fn batched(post: &Post) -> Vec<(String, Value)> {
    let batches = post.body.as_array().expect("a list of batches");
    let of = |batch: &Value| {
        let session = batch["sessionId"].as_str().expect("an id").to_owned();
        let events = batch["events"].as_array().cloned().expect("a list of events");
        events.into_iter().map(move |event| (session.clone(), event))
    };
    batches.iter().flat_map(of).collect()
}

/// What requests of one instance emit at once may share a POST: each event is in one of them, and those of a session
/// in their order.
#[tokio::test]
async fn each_event_of_requests_at_once_is_in_one_post() {
    own_stack!();
    sharing_instances!();
    let relayed = Relayed::start("/ws/broadcast", &[("websocket_broadcast_format", "json-batch")]);
    let client = relayed.stack.client();
    let sessions = futures::future::join_all((0..48).map(|_| client.create_session())).await;
    let posts = relayed.broadcaster.posts();
    let created: Vec<_> = posts.iter().flat_map(batched).collect();
    for session in &sessions {
        let kinds: Vec<_> = created.iter().filter(|(of, _)| of == session).map(|(_, event)| &event["type"]).collect();
        assert_eq!(kinds, ["session_created"]);
    }

    let session = client.create_session().await;
    let before = relayed.broadcaster.posts().len();
    let names: Vec<String> = (0..12).map(|number| format!("{number}.png")).collect();
    let register = names.iter().map(|name| client.register(&session, name, "image", "image/png", 100));
    let files = futures::future::join_all(register).await;
    let sends = files.iter().map(async |file| client.put_part(&session, file, 1, pdf(100)).await.success(200));
    futures::future::join_all(sends).await;
    let events: Vec<_> = relayed.broadcaster.posts()[before..].iter().flat_map(batched).collect();
    for file in &files {
        let kinds: Vec<_> = events
            .iter()
            .filter(|(_, event)| event["fileId"] == file.as_str())
            .map(|(_, event)| &event["type"])
            .collect();
        assert_eq!(kinds, ["file_registered", "part_uploaded", "upload.part.completed"], "{file}");
    }
    assert_eq!(complaints(&relayed.stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn nchan_gets_a_message_for_a_channel() {
    own_stack!();
    for (path, with) in [("/pub", "/pub?"), ("/pub?zone=a%20b&x=1", "/pub?zone=a%20b&x=1&")] {
        let relayed = Relayed::start(path, &[("websocket_broadcast_format", "nchan")]);
        let Published { session, posts, registered, part } = publish(&relayed).await;
        for post in &posts {
            assert_eq!(post.path, format!("{with}id={session}"));
            has_bearer(post);
        }
        assert_eq!(only_timeless(&posts[0].body), registered);
        assert_eq!(first_timeless(&posts[1].body), json!(part));
    }
}

#[tokio::test]
async fn pushpin_gets_an_item_an_event() {
    own_stack!();
    let relayed = Relayed::start("/publish/", &[("websocket_broadcast_format", "pushpin")]);
    let Published { session, posts, registered, part } = publish(&relayed).await;
    for (post, expected) in posts.iter().zip([json!([registered]), json!(part)]) {
        assert_eq!(post.path, "/publish/");
        has_bearer(post);
        let items = post.body["items"].as_array().expect("items");
        let contents = items.iter().map(|item| {
            let content = item["formats"]["ws-message"]["content"].as_str().expect("text");
            assert_eq!(*item, json!({ "channel": session, "formats": { "ws-message": { "content": content } } }));
            serde_json::from_str(content).expect("an event in JSON")
        });
        assert_eq!(first_timeless(&Value::Array(contents.collect())), expected);
        assert_eq!(post.body.as_object().map(serde_json::Map::len), Some(1), "{}", post.body);
    }
}

/// Centrifugo says in the body of a 200 how it went.
fn centrifugo(response: &Value) -> Relayed {
    let relayed = Relayed::start("/api/publish", &[("websocket_broadcast_format", "centrifugo")]);
    relayed.broadcaster.set(Mode::Response(200, response.to_string()));
    relayed
}

#[tokio::test]
async fn centrifugo_gets_a_publication() {
    own_stack!();
    let relayed = centrifugo(&json!({ "result": {} }));
    let Published { session, posts, registered, part } = publish(&relayed).await;
    for post in &posts {
        assert_eq!((post.path.as_str(), post.header("x-api-key")), ("/api/publish", Some(KEY)));
        assert_eq!(post.header("authorization"), None);
        assert_eq!(
            (&post.body["channel"], post.body.as_object().map(serde_json::Map::len)),
            (&json!(session), Some(2))
        );
    }
    assert_eq!(only_timeless(&posts[0].body["data"]), registered);
    assert_eq!(first_timeless(&posts[1].body["data"]), json!(part));
    assert_eq!(complaints(&relayed.stack).await, Vec::<String>::new());
}

#[tokio::test]
async fn treats_an_error_inside_a_response_of_centrifugo_as_a_failure() {
    own_stack!();
    sharing_instances!();
    let relayed = centrifugo(&json!({ "error": { "code": 107, "message": "bad request" } }));
    let client = relayed.stack.client();
    let _ = client.upload_pdf(10).await;
    let complaints = complaints(&relayed.stack).await;
    let [line] = &complaints[..] else { panic!("one line, not {complaints:?}") };
    assert!(line.contains("progress events: ") && line.contains("; none are sent for 5 s"), "{line}");
    assert!(line.contains("107") || line.contains("bad request"), "{line}");
    assert_eq!(relayed.broadcaster.connections(), 1);
}

/// A response that is not Centrifugo's does not confirm that the events are published.
#[tokio::test]
async fn an_response_of_something_else_than_centrifugo_is_a_failure() {
    own_stack!();
    for mode in [Mode::Response(200, "<html>welcome</html>".into()), Mode::Endless, Mode::Response(401, String::new())]
    {
        let relayed = centrifugo(&Value::Null);
        relayed.broadcaster.set(mode.clone());
        let started = std::time::Instant::now();
        let _ = relayed.stack.client().create_session().await;
        assert!(started.elapsed().as_secs() < 5, "{mode:?}: {:?}", started.elapsed());
        assert_eq!(complaints(&relayed.stack).await.len(), 1, "{mode:?}: {}", relayed.stack.log());
    }
}

/// A name is any text, and a session's user too: both are data in JSON, and in nobody's header.
#[tokio::test]
async fn a_hostile_name_stays_in_its_place() {
    own_stack!();
    let name = "x\"},{\"type\":\"forged\"}\r\nx-forged: 1\u{2028}\u{0}.pdf";
    let relayed: Vec<Relayed> = ["json", "json-batch", "nchan", "pushpin", "centrifugo"]
        .map(|format| Relayed::start("/", &[("websocket_broadcast_format", format), ("dev_user_sub", "a\"b\r\n")]))
        .into();
    for relayed in &relayed {
        relayed.broadcaster.set(Mode::Response(200, "{}".into()));
        let client = relayed.stack.client();
        let session = client.create_session().await;
        let reply = client.try_register(&session, name, "instruction", "application/pdf", 1).await;
        let names = client.get(&path::session(&session)).await.success(200)["files"].clone();
        let posts = relayed.broadcaster.posts_of(&session);
        let emitted = if reply.status == 201 { json!(names[0]["name"]) } else { Value::Null };
        assert_eq!(posts.len(), 1 + usize::from(reply.status == 201), "{}", reply.text());
        let Some(Post { body, headers, .. }) = posts.get(1) else { continue };
        assert!(!headers.contains_key("x-forged"));
        let pushed = body["items"][0]["formats"]["ws-message"]["content"].as_str();
        let event = match pushed {
            Some(content) => serde_json::from_str(content).expect("JSON"),
            None => [&body["events"][0], &body[0]["events"][0], &body["data"], body]
                .into_iter()
                .find(|v| v["type"].is_string())
                .cloned()
                .expect("an event"),
        };
        assert_eq!((&event["type"], &event["metadata"]["name"]), (&json!("file_registered"), &emitted));
    }
}

#[tokio::test]
async fn without_a_key_events_are_sent_without_one() {
    own_stack!();
    for (format, key) in [("json", ""), ("nchan", "  "), ("pushpin", ""), ("centrifugo", "")] {
        let broadcaster = Broadcaster::start();
        broadcaster.set(Mode::Response(200, "{}".into()));
        let stack = moc_tests::Stack::start(&[
            ("websocket_api_url", &broadcaster.url("/here")),
            ("websocket_api_origin", &broadcaster.origin()),
            ("websocket_api_key", key),
            ("websocket_broadcast_format", format),
        ]);
        let _ = stack.client().create_session().await;
        let posts = broadcaster.posts();
        let [post] = &posts[..] else { panic!("one POST, not {posts:?}: {}", stack.log()) };
        assert_eq!((post.header("authorization"), post.header("x-api-key")), (None, None), "{format}");
    }
}

/// Broadcasters that only differ in how they listen see the same.
#[tokio::test]
async fn a_broadcaster_is_reached_by_its_name() {
    own_stack!();
    let broadcaster = Broadcaster::start();
    let origin = broadcaster.origin().replace("127.0.0.1", "localhost");
    let (url, key) = (format!("{origin}/here"), ("websocket_api_key", KEY));
    let stack =
        moc_tests::Stack::start(&[("websocket_api_url", &url), ("websocket_api_origin", &format!("{origin}/")), key]);
    let _ = stack.client().create_session().await;
    let posts = broadcaster.posts();
    let [post] = &posts[..] else { panic!("one POST, not {posts:?}: {}", stack.log()) };
    assert_eq!((post.path.as_str(), post.header("host").map(|host| format!("http://{host}"))), ("/here", Some(origin)));
}
