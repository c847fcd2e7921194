//! A client of server-sent events, as browsers have one
//! ([HTML](https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream)).

use std::collections::VecDeque;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use tokio::time::timeout;

use crate::{Client, Response};

/// Longest time a test waits for something of a stream.
const PATIENCE: Duration = Duration::from_secs(30);

/// A stream of events.
pub struct EventSource {
    pub headers: HeaderMap,
    /// What the stream has said of the pause before the next connection, in milliseconds.
    pub retry: Option<u64>,
    pub comments: u32,
    last_id: String,
    parser: Parser,
    ready: VecDeque<Event>,
    chunks: BoxStream<'static, Option<Vec<u8>>>,
}

/// An event that was dispatched.
#[derive(Debug)]
pub struct Event {
    pub kind: String,
    /// The id that a client connects again with.
    pub last_id: String,
    pub data: Value,
}

#[derive(Default)]
struct Parser {
    line: Vec<u8>,
    kind: String,
    data: String,
}

impl EventSource {
    /// Connects to an `eventsUrl`.
    ///
    /// # Errors
    /// The response, if it is no stream: a browser does not connect again then.
    pub async fn open(client: &Client, events_url: &str) -> Result<Self, Response> {
        Self::connect(client, events_url, None).await
    }

    /// Connects again after the event with this id.
    ///
    /// # Errors
    /// As [`EventSource::open`].
    pub async fn reopen(client: &Client, events_url: &str, last_id: &str) -> Result<Self, Response> {
        Self::connect(client, events_url, Some(last_id)).await
    }

    async fn connect(client: &Client, events_url: &str, last_id: Option<&str>) -> Result<Self, Response> {
        let mut request = client.request(Method::GET, events_url).header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let response = timeout(PATIENCE, request.send()).await.expect("a response in time").expect("a response");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let is_stream = headers.get("content-type").is_some_and(|value| value == "text/event-stream");
        if status != 200 || !is_stream {
            let path = events_url.split('?').next().unwrap_or_default();
            let body = response.bytes().await.expect("a body").to_vec();
            return Err(Response::received("GET", path, status, headers, body));
        }
        let chunks = response.bytes_stream().map(|chunk| chunk.ok().map(|bytes| bytes.to_vec()));
        Ok(Self {
            headers,
            retry: None,
            comments: 0,
            last_id: last_id.unwrap_or_default().to_owned(),
            parser: Parser::default(),
            ready: VecDeque::new(),
            chunks: chunks.boxed(),
        })
    }

    /// The next event; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Event> {
        timeout(PATIENCE, self.dispatched()).await.expect("an event in time")
    }

    /// The next event, which has to be of this type.
    pub async fn expect(&mut self, kind: &str) -> Event {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream ends before {kind}"));
        assert_eq!(event.kind, kind, "{event:?}");
        event
    }

    async fn dispatched(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // One that is interrupted ends without what was not dispatched, too.
            for byte in self.chunks.next().await.flatten()? {
                if byte == b'\n' {
                    let line = std::mem::take(&mut self.parser.line);
                    self.line(std::str::from_utf8(&line).expect("UTF-8"));
                } else {
                    assert_ne!(byte, b'\r', "lines end with a line feed alone");
                    self.parser.line.push(byte);
                }
            }
        }
    }

    fn line(&mut self, line: &str) {
        let Parser { kind, data, .. } = &mut self.parser;
        match line.split_once(':') {
            None if line.is_empty() => {
                let (kind, data) = (std::mem::take(kind), std::mem::take(data));
                if let Some(data) = data.strip_suffix('\n') {
                    let data = serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {data}"));
                    self.ready.push_back(Event { kind, last_id: self.last_id.clone(), data });
                }
            }
            None => panic!("a field without a value: {line}"),
            Some(("", _)) => self.comments += 1,
            Some((field, value)) => {
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(kind),
                    "data" => {
                        data.push_str(value);
                        data.push('\n');
                    }
                    "id" => value.clone_into(&mut self.last_id),
                    "retry" => self.retry = Some(value.parse().expect("digits alone")),
                    _ => panic!("an unknown field: {line}"),
                }
            }
        }
    }
}
