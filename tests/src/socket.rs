//! A client that watches a session.

use std::collections::VecDeque;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use url::Url;

use crate::schema;

/// Longest time a test waits for an event.
const PATIENCE: Duration = Duration::from_secs(20);
/// The embedded broadcaster's key if none is configured.
const LOCAL_KEY: &str = "local-secret";

/// A client that watches a session. Every event that it receives is checked by its schema.
pub struct Socket {
    url: Url,
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Events that arrived in the same message as an earlier one.
    ready: VecDeque<Value>,
}

impl Socket {
    /// Connects to a `wsUrl`.
    pub async fn connect(ws_url: &str) -> Result<Self, u16> {
        match timeout(PATIENCE, connect_async(ws_url)).await.expect("a response in time") {
            Ok((stream, _)) => Ok(Self { url: ws_url.parse().expect("a URL"), stream, ready: VecDeque::new() }),
            Err(Error::Http(rejections)) => Err(rejections.status().as_u16()),
            Err(error) => panic!("{ws_url}: {error}"),
        }
    }

    /// The next event.
    pub async fn next(&mut self) -> Value {
        while self.ready.is_empty() {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("an event in time");
            match message.expect("the connection goes on").expect("a message") {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).expect("JSON");
                    schema::check(&message);
                    match message {
                        Value::Array(events) => self.ready.extend(events),
                        event => self.ready.push_back(event),
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("no event: {other:?}"),
            }
        }
        let event = self.ready.pop_front().expect("it is not empty");
        schema::check(&event);
        event
    }

    /// The next event, if one comes within this time.
    pub async fn next_within(&mut self, limit: Duration) -> Option<Value> {
        timeout(limit, self.next()).await.ok()
    }

    /// Waits until the other side has ended the connection.
    pub async fn ended(mut self) {
        let end = async { while let Some(Ok(_)) = self.stream.next().await {} };
        timeout(PATIENCE, end).await.expect("the end in time");
    }

    /// So many events.
    pub async fn take(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            events.push(self.next().await);
        }
        events
    }

    /// The events up to the first of this type, with it.
    pub async fn until(&mut self, kind: &str) -> Vec<Value> {
        let mut events = Vec::new();
        while events.last().is_none_or(|event: &Value| event["type"] != kind) {
            events.push(self.next().await);
        }
        events
    }

    /// Checks that nothing waits for this client: what the embedded broadcaster is handed now, past
    /// the app, is the next that comes.
    pub async fn has_no_more(&mut self) {
        let session = self.url.path().trim_start_matches("/session/");
        // An event that no upload has.
        let marker = json!({
            "type": "session_created",
            "sessionId": session,
            "sequence": 1,
            "timestamp": "2000-01-01T00:00:00.000Z",
            "metadata": { "expiresAt": "2000-01-01T00:30:00.000Z", "partSizeBytes": 5_242_880 },
        });
        let batch = json!({ "sessionId": session, "userId": "dev-user", "events": [marker] });
        let url = format!("http://{}/ws/broadcast", self.url.authority());
        let request = reqwest::Client::new().post(url).bearer_auth(LOCAL_KEY).body(batch.to_string());
        let response = request.header("content-type", "application/json").send().await.expect("a response");
        assert!(response.status().is_success(), "{}", response.status());
        assert_eq!(self.next().await, marker);
    }

    /// Ends the connection as a browser does.
    pub async fn close(mut self) {
        self.stream.close(None).await.expect("it can be closed");
        while let Some(Ok(_)) = self.stream.next().await {}
    }

    /// Sends a text, which nobody expects of a client.
    pub async fn say(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.expect("it can be sent");
    }
}
