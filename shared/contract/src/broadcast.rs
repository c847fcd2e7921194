//! How events are published: the requests that each kind of broadcaster takes.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use url::Url;

use crate::event::EventBatch;

/// A kind of broadcaster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One that takes an [`EventBatch`].
    Json,
    /// One that takes a list of them, of several sessions, as the embedded one does.
    JsonBatch,
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
            "json-batch" => Some(Self::JsonBatch),
            "nchan" => Some(Self::Nchan),
            "pushpin" => Some(Self::Pushpin),
            "centrifugo" => Some(Self::Centrifugo),
            _ => None,
        }
    }

    /// The POSTs that publish these events to those who watch their sessions: one for all where the broadcaster takes
    /// several sessions in one, else one for each.
    #[must_use]
    pub fn publications(self, api: &Url, key: Option<&str>, batches: &[EventBatch]) -> Vec<Publication> {
        let key = key.map(|key| self.key_header(key));
        let post = |body| Publication { url: api.clone(), key: key.clone(), body };
        let each = batches.iter();
        match self {
            Self::Json => each.map(|batch| post(json(batch))).collect(),
            Self::JsonBatch => vec![post(json(&batches))],
            Self::Nchan => each
                .map(|batch| {
                    let mut publication = post(json(&Message::of(batch)));
                    publication.url.query_pairs_mut().append_pair("id", &batch.session_id);
                    publication
                })
                .collect(),
            Self::Pushpin => vec![post(json(&Items { items: each.flat_map(Item::of).collect() }))],
            Self::Centrifugo => each
                .map(|batch| post(json(&Channel { channel: &batch.session_id, data: Message::of(batch) })))
                .collect(),
        }
    }

    /// The header with this key: its name in lower case, and its value.
    #[must_use]
    pub fn key_header(self, key: &str) -> (&'static str, String) {
        match self {
            Self::Centrifugo => ("x-api-key", key.to_owned()),
            _ => ("authorization", format!("Bearer {key}")),
        }
    }

    /// Whether the events of several sessions share a POST.
    #[must_use]
    pub fn joins_sessions(self) -> bool {
        matches!(self, Self::JsonBatch | Self::Pushpin)
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

/// What is published always serialises.
fn json(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// One message for all events: the event itself where it is one, else a list of them.
#[derive(Serialize)]
#[serde(untagged)]
enum Message<'a> {
    One(&'a RawValue),
    Several(&'a [Box<RawValue>]),
}

impl<'a> Message<'a> {
    fn of(batch: &'a EventBatch) -> Self {
        match &batch.events[..] {
            [only] => Self::One(only),
            several => Self::Several(several),
        }
    }
}

/// A publication of Centrifugo.
#[derive(Serialize)]
struct Channel<'a> {
    channel: &'a str,
    data: Message<'a>,
}

/// Those of Pushpin.
#[derive(Serialize)]
struct Items<'a> {
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    channel: &'a str,
    formats: ItemFormats<'a>,
}

#[derive(Serialize)]
struct ItemFormats<'a> {
    #[serde(rename = "ws-message")]
    ws_message: WsMessage<'a>,
}

#[derive(Serialize)]
struct WsMessage<'a> {
    content: &'a str,
}

impl<'a> Item<'a> {
    /// One for each event.
    fn of(batch: &'a EventBatch) -> impl Iterator<Item = Self> {
        let formats = |event: &'a RawValue| ItemFormats { ws_message: WsMessage { content: event.get() } };
        batch.events.iter().map(move |event| Item { channel: &batch.session_id, formats: formats(event) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use serde_json::value::to_raw_value;

    use super::*;

    type Key = Option<(&'static str, String)>;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|error| unreachable!("{error}"))
    }

    fn batch(session: &str, events: &[Value]) -> EventBatch {
        let raw = |event: &Value| to_raw_value(event).unwrap_or_else(|error| unreachable!("{error}"));
        let events = events.iter().map(raw).collect();
        EventBatch { session_id: session.into(), user_id: "alice".into(), events }
    }

    fn all(format: Format, api: &str, batches: &[EventBatch]) -> Vec<(String, Key, Value)> {
        let shown = |Publication { url, key, body }: Publication| {
            (url.to_string(), key, serde_json::from_slice(&body).unwrap_or_default())
        };
        format.publications(&url(api), Some("key"), batches).into_iter().map(shown).collect()
    }

    fn published(format: Format, api: &str, events: Vec<Value>) -> (String, Key, Value) {
        let mut publications = all(format, api, &[batch("s-1", &events)]);
        assert_eq!(publications.len(), 1, "{publications:?}");
        publications.remove(0)
    }

    #[test]
    fn each_broadcaster_is_asked_in_its_own_way() {
        let (one, two) = (json!({ "n": 1 }), json!({ "n": 2 }));
        let both = || vec![one.clone(), two.clone()];
        let bearer = Some(("authorization", "Bearer key".to_owned()));
        let api = "http://b.example/api";

        let body = json!({ "sessionId": "s-1", "userId": "alice", "events": [one, two] });
        assert_eq!(published(Format::Json, api, both()), (api.into(), bearer.clone(), body.clone()));
        assert_eq!(published(Format::JsonBatch, api, both()), (api.into(), bearer.clone(), json!([body])));

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
        let api = url("http://b.example/api");
        for format in [Format::Json, Format::JsonBatch, Format::Nchan, Format::Pushpin, Format::Centrifugo] {
            let publications = format.publications(&api, None, &[batch("s-1", &[json!(1)])]);
            assert!(publications.iter().all(|publication| publication.key.is_none()), "{format:?}");
        }
    }

    #[test]
    fn several_sessions_are_one_post_where_the_broadcaster_takes_them() {
        let batches = [batch("s-1", &[json!({ "n": 1 })]), batch("s-2", &[json!({ "n": 2 }), json!({ "n": 3 })])];
        for format in [Format::Json, Format::Nchan, Format::Centrifugo] {
            assert!(!format.joins_sessions());
            let publications = all(format, "http://b.example/", &batches);
            let [(first, _, one), (second, _, two)] = &publications[..] else { unreachable!("{publications:?}") };
            assert!(format!("{first}{one}").contains("s-1") && !format!("{first}{one}").contains("s-2"));
            assert!(format!("{second}{two}").contains("s-2") && !format!("{second}{two}").contains("s-1"));
        }
        for format in [Format::JsonBatch, Format::Pushpin] {
            assert!(format.joins_sessions());
            assert_eq!(all(format, "http://b.example/", &batches).len(), 1);
        }
        let (.., body) = &all(Format::JsonBatch, "http://b.example/", &batches)[0];
        let of = |session: &str, events: Value| json!({ "sessionId": session, "userId": "alice", "events": events });
        assert_eq!(*body, json!([of("s-1", json!([{ "n": 1 }])), of("s-2", json!([{ "n": 2 }, { "n": 3 }]))]));
        let (.., body) = &all(Format::Pushpin, "http://b.example/", &batches)[0];
        let channels: Vec<_> = body["items"].as_array().into_iter().flatten().map(|item| &item["channel"]).collect();
        assert_eq!(channels, ["s-1", "s-2", "s-2"]);
    }

    #[test]
    fn finds_an_error_inside_a_response() {
        let error = br#"{"error":{"code":107,"message":"bad request"}}"#;
        assert!(Format::error_inside(error).is_some_and(|error| error.contains("bad request")));
        assert_eq!(Format::error_inside(br#"{"result":{}}"#), None);
        assert!(Format::error_inside(b"<html>").is_some());
    }
}
