//! Live progress, up to the broadcaster: what the relay sends it, and what becomes of an upload
//! when it fails.

mod faults;
mod formats;
mod nchan;
mod numbers;
mod off;
mod pushpin;
mod real;
mod steps;
mod ws_url;

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::OnceLock;

use moc_tests::broadcaster::Broadcaster;
use moc_tests::{Stack, logged_json, schema};
use reqwest::Method;
use serde_json::{Value, json};

const KEY: &str = "a-key-that-no-log-may-hold";
const TOKEN_SECRET: &str = "a-secret-for-tokens-to-watch-with";
/// What Pushpin signs its requests with.
const GRIP_KEY: &str = "a-key-for-the-requests-of-pushpin";

/// How long an event may take where a test needs every one of them, in milliseconds.
const PATIENT_MS: &str = "10000";

/// A stack and its broadcaster.
pub(crate) struct Relayed {
    pub(crate) broadcaster: Broadcaster,
    pub(crate) stack: Stack,
}

impl Relayed {
    /// A stack whose relay POSTs to this path of its broadcaster, with these variables as well.
    pub(crate) fn start(path: &str, variables: &[(&str, &str)]) -> Self {
        let broadcaster = Broadcaster::start();
        let (url, origin) = (broadcaster.url(path), broadcaster.origin());
        let own = [
            ("websocket_api_url", url.as_str()),
            ("websocket_api_origin", &origin),
            ("websocket_api_key", KEY),
            ("websocket_token_secret", TOKEN_SECRET),
            ("websocket_emit_timeout_ms", PATIENT_MS),
        ];
        let given = |name: &str| variables.iter().any(|(given, _)| *given == name);
        let own = own.into_iter().filter(|(name, _)| !given(name));
        let stack = Stack::start(&own.chain(variables.iter().copied()).collect::<Vec<_>>());
        Self { broadcaster, stack }
    }

    /// One for all tests that need no other.
    fn shared() -> &'static Self {
        static SHARED: OnceLock<Relayed> = OnceLock::new();
        SHARED.get_or_init(|| Self::start("/ws/broadcast", &[("instruction_max_mb", "200")]))
    }

    /// The events of a session so far, as the format `json` has them, each as its schema says.
    fn events(&self, session: &str) -> Vec<Value> {
        let batches = self.broadcaster.posts_of(session).into_iter().map(|post| post.body["events"].clone());
        let events: Vec<Value> =
            batches.flat_map(|events| events.as_array().cloned().expect("a list of events")).collect();
        events.iter().for_each(schema::check);
        events
    }

    /// The progress that the events of a session's file report, one of each kind per part:
    /// `[partNumber, partsCompleted, bytesCompleted, percentComplete]`.
    fn parts(&self, session: &str, file: &str) -> Vec<[u64; 4]> {
        let mut events = self.events(session);
        events.retain(|event| {
            event["fileId"] == file && event["type"].as_str().is_some_and(|kind| kind.contains("part"))
        });
        let pairs = events.chunks(2).map(|pair| {
            let [uploaded, completed] = pair else { panic!("one event of two: {pair:?}") };
            assert_eq!(
                (&uploaded["type"], &completed["type"]),
                (&json!("part_uploaded"), &json!("upload.part.completed"))
            );
            let progress = &uploaded["progress"];
            for (one, other) in [
                (&uploaded["metadata"]["partNumber"], &completed["partNumber"]),
                (&uploaded["metadata"]["etag"], &completed["etag"]),
                (&progress["partsCompleted"], &completed["completedParts"]),
                (&progress["partsTotal"], &completed["totalParts"]),
            ] {
                assert_eq!(one, other, "{pair:?}");
            }
            let numbers = [
                &completed["partNumber"],
                &completed["completedParts"],
                &progress["bytesCompleted"],
                &completed["percentComplete"],
            ];
            numbers.map(|number| number.as_u64().expect("a number"))
        });
        pairs.collect()
    }
}

/// Every failure is a chance to show what is secret.
impl Drop for Relayed {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for secret in [KEY, TOKEN_SECRET, "token="] {
                assert!(!self.stack.log().contains(secret), "the log reveals {secret}:\n{}", self.stack.log());
            }
        }
    }
}

/// The lines of the log that are warnings or errors, up to now, without those about the variables, which every
/// instance repeats.
async fn complaints(stack: &Stack) -> Vec<String> {
    let (client, id) = (stack.client(), uuid::Uuid::new_v4().to_string());
    let _ = client
        .send(client.request(Method::GET, "/nowhere").header("x-request-id", &id))
        .await
        .problem(404, "NOT_FOUND");
    let _ = stack.logged(&id).await;
    let (log, warned) = (stack.log(), stack.variable_warnings());
    let complains = |line: &&str| line.contains("\"level\":\"warn\"") || line.contains("\"level\":\"error\"");
    let is_new = |line: &&str| !warned.iter().any(|warning| line.contains(warning.as_str()));
    log.lines().filter(complains).filter(is_new).map(str::to_owned).collect()
}

/// The warnings of components that name this variable; what several instances say counts once.
fn warnings(stack: &Stack, variable: &str) -> BTreeSet<String> {
    let log = stack.log();
    let warns = |line: &&str| line.contains("\"level\":\"warn\"") && line.contains(variable);
    let message = |line: &str| logged_json(line)["message"].as_str().expect("a message").to_owned();
    log.lines().filter(warns).map(message).collect()
}

/// Events without their `sequence`, which must be the same, and that number.
#[track_caller]
fn of_one_step(events: &[Value]) -> (Vec<Value>, u64) {
    let mut events = events.to_vec();
    let taken = events.iter_mut().filter_map(|event| event.as_object_mut()?.remove("sequence")?.as_u64());
    let numbers: Vec<u64> = taken.collect();
    assert_eq!(numbers.len(), events.len(), "an event has no number: {events:?}");
    assert!(numbers.iter().all(|number| *number == numbers[0]), "{numbers:?} of {events:?}");
    let number = *numbers.first().expect("an event");
    (events, number)
}

/// An event without its `timestamp`, which must be one of now.
#[track_caller]
fn timeless(event: &Value) -> Value {
    let mut event = event.clone();
    let timestamp = event.as_object_mut().and_then(|event| event.remove("timestamp"));
    let timestamp = timestamp.as_ref().and_then(Value::as_str).unwrap_or_else(|| panic!("no timestamp in {event}"));
    let shape: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{timestamp}");
    let time = jiff::Timestamp::from_str(timestamp).expect("a time");
    let age = jiff::Timestamp::now().duration_since(time).as_secs();
    assert!((-1..120).contains(&age), "{timestamp} is {age} s ago");
    event
}
