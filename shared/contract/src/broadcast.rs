//! How events are published: the requests that each kind of broadcaster takes.

use serde_json::{Value, json};
use url::Url;

use crate::event::RawEventBatch;

/// A kind of broadcaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One that takes a [`RawEventBatch`], as the embedded one does.
    Json,
    /// nginx with [nchan](https://nchan.io/#publisher-endpoints): one message to the channel `?id=`.
    Nchan,
    /// [Pushpin](https://pushpin.org/docs/publishing/): one item an event.
    Pushpin,
    /// [Centrifugo](https://centrifugal.dev/docs/server/server_api#publish): the method `publish`.
    Centrifugo,
}

/// A POST that publishes events. Its body is JSON.
#[derive(Debug, PartialEq, Eq)]
pub struct Publication {
    /// Where it goes.
    pub url: Url,
    /// The header with the key, if there is one: its name in lower case, and its value.
    pub key: Option<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Format {
    /// Reads a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "json" => Some(Self::Json),
            "nchan" => Some(Self::Nchan),
            "pushpin" => Some(Self::Pushpin),
            "centrifugo" => Some(Self::Centrifugo),
            _ => None,
        }
    }

    /// The POST that publishes these events to those who watch their session.
    #[must_use]
    pub fn publication(self, api: &Url, key: Option<&str>, batch: RawEventBatch) -> Publication {
        let mut url = api.clone();
        if self == Self::Nchan {
            url.query_pairs_mut().append_pair("id", &batch.session_id);
        }
        let key = key.map(|key| match self {
            Self::Centrifugo => ("x-api-key", key.to_owned()),
            _ => ("authorization", format!("Bearer {key}")),
        });
        let body = match self {
            Self::Json => json!(batch),
            Self::Nchan => message(batch.events),
            Self::Pushpin => {
                let channel = batch.session_id;
                let item = |event: &Value| json!({ "channel": channel, "formats": { "ws-message": { "content": event.to_string() } } });
                json!({ "items": batch.events.iter().map(item).collect::<Vec<_>>() })
            }
            Self::Centrifugo => json!({ "channel": batch.session_id, "data": message(batch.events) }),
        };
        Publication { url, key, body: body.to_string().into_bytes() }
    }

    /// Whether a response's status says all. Centrifugo responds 200 with an error inside.
    #[must_use]
    pub fn reports_errors_by_status(self) -> bool {
        self != Self::Centrifugo
    }

    /// The error inside a successful response of Centrifugo, if it has one.
    #[must_use]
    pub fn error_inside(response: &[u8]) -> Option<String> {
        match serde_json::from_slice::<Value>(response) {
            Ok(response) => response.get("error").filter(|error| !error.is_null()).map(Value::to_string),
            Err(error) => Some(format!("its response is not JSON: {error}")),
        }
    }
}

/// One message for all events: the event itself where it is one, else a list of them.
fn message(events: Vec<Value>) -> Value {
    match <[Value; 1]>::try_from(events) {
        Ok([only]) => only,
        Err(several) => Value::Array(several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Key = Option<(&'static str, String)>;

    fn published(format: Format, api: &str, events: Vec<Value>) -> (String, Key, Value) {
        let api = Url::parse(api).unwrap_or_else(|error| unreachable!("{error}"));
        let batch = RawEventBatch { session_id: "s-1".into(), user_id: "alice".into(), events };
        let Publication { url, key, body } = format.publication(&api, Some("key"), batch);
        (url.to_string(), key, serde_json::from_slice(&body).unwrap_or_default())
    }

    #[test]
    fn each_broadcaster_is_asked_in_its_own_way() {
        let (one, two) = (json!({ "n": 1 }), json!({ "n": 2 }));
        let both = || vec![one.clone(), two.clone()];
        let bearer = Some(("authorization", "Bearer key".to_owned()));
        let api = "http://b.example/api";

        let body = json!({ "sessionId": "s-1", "userId": "alice", "events": [one, two] });
        assert_eq!(published(Format::Json, api, both()), (api.into(), bearer.clone(), body));

        let url = "http://b.example/api?id=s-1";
        assert_eq!(published(Format::Nchan, api, both()), (url.into(), bearer.clone(), json!([one, two])));
        assert_eq!(published(Format::Nchan, api, vec![one.clone()]), (url.into(), bearer.clone(), one.clone()));
        let (url, ..) = published(Format::Nchan, "http://b.example/pub?zone=a", both());
        assert_eq!(url, "http://b.example/pub?zone=a&id=s-1");

        let item = |content: &str| json!({ "channel": "s-1", "formats": { "ws-message": { "content": content } } });
        let body = json!({ "items": [item("{\"n\":1}"), item("{\"n\":2}")] });
        assert_eq!(published(Format::Pushpin, api, both()), (api.into(), bearer, body));

        let body = json!({ "channel": "s-1", "data": [one, two] });
        let key = Some(("x-api-key", "key".to_owned()));
        assert_eq!(published(Format::Centrifugo, api, both()), (api.into(), key, body));
    }

    #[test]
    fn without_a_key_no_header_has_one() {
        let api = Url::parse("http://b.example/api").unwrap_or_else(|error| unreachable!("{error}"));
        for format in [Format::Json, Format::Nchan, Format::Pushpin, Format::Centrifugo] {
            let batch = RawEventBatch { session_id: "s-1".into(), user_id: "alice".into(), events: vec![json!(1)] };
            assert_eq!(format.publication(&api, None, batch).key, None, "{format:?}");
        }
    }

    #[test]
    fn finds_an_error_inside_a_response() {
        let error = br#"{"error":{"code":107,"message":"bad request"}}"#;
        assert!(Format::error_inside(error).is_some_and(|error| error.contains("bad request")));
        assert_eq!(Format::error_inside(br#"{"result":{}}"#), None);
        assert!(Format::error_inside(b"<html>").is_some());
    }
}
