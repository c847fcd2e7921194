//! The events, as far as their meaning matters here: every JSON object counts as one.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

pub struct Event {
    /// As it came, on one line.
    pub line: String,
    /// What is understood of it.
    pub known: Known,
}

/// The fields that matter; a field that is missing or unlike the documented one counts as unknown.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Known {
    #[serde(rename = "type")]
    pub kind: String,
    pub file_id: Option<String>,
    pub progress: Counts,
    pub metadata: Metadata,
    pub total_parts: Option<u64>,
    pub completed_parts: Option<u64>,
    pub moc_id: Option<String>,
}

/// `progress` of a lifecycle event.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Counts {
    pub parts_completed: Option<u64>,
    pub parts_total: Option<u64>,
    pub bytes_completed: Option<u64>,
    pub bytes_total: Option<u64>,
}

/// `metadata` of a lifecycle event.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    pub name: Option<String>,
    pub moc_id: Option<String>,
}

/// The events of a message: it is one, or an array of them. None where it is something else.
pub fn split(text: &str) -> Option<Vec<Event>> {
    let raws: Vec<Box<RawValue>> = match text.trim_start().starts_with('[') {
        true => serde_json::from_str(text).ok()?,
        false => vec![serde_json::from_str(text).ok()?],
    };
    raws.iter().map(|raw| Event::parse(raw.get())).collect()
}

impl Event {
    fn parse(raw: &str) -> Option<Self> {
        if !raw.starts_with('{') {
            return None;
        }
        // JSON has line breaks between its tokens only.
        let line = raw.replace(['\n', '\r'], "");
        let known = serde_json::from_str(raw).unwrap_or_else(|_| {
            let kind = serde_json::from_str::<Value>(raw).ok();
            let kind = kind.as_ref().and_then(|event| event.get("type")?.as_str()).unwrap_or_default();
            Known { kind: kind.to_owned(), ..Known::default() }
        });
        Some(Self { line, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Option<Vec<String>> {
        Some(split(text)?.into_iter().map(|event| event.line).collect())
    }

    #[test]
    fn a_message_is_an_event_or_an_array_of_them() {
        assert_eq!(lines(r#"{"type":"a"}"#).unwrap(), [r#"{"type":"a"}"#]);
        assert_eq!(lines(r#" [ {"type":"a"} , {"type":"b"} ] "#).unwrap(), [r#"{"type":"a"}"#, r#"{"type":"b"}"#]);
        assert_eq!(lines("[]").unwrap(), [""; 0]);
        assert_eq!(lines("{\n  \"type\":\r\n\"a\\n\"\n}").unwrap(), [r#"{  "type":"a\n"}"#]);
        for text in ["", "text", "1", "null", "[1]", r#"[{"type":"a"},"b"]"#, r#"{"type":"#, r#"{} {}"#] {
            assert!(lines(text).is_none(), "{text}");
        }
    }

    #[test]
    fn what_is_unlike_the_documented_is_unknown() {
        let kind = |text: &str| split(text).unwrap().remove(0).known.kind;
        assert_eq!(kind(r#"{"type":"part_uploaded","progress":"much"}"#), "part_uploaded");
        assert_eq!(kind(r#"{"type":7}"#), "");
        assert_eq!(kind("{}"), "");
        let known = split(r#"{"type":"a","more":[1],"progress":{"bytesTotal":3},"metadata":{"name":"x"}}"#).unwrap();
        assert_eq!(known[0].known.progress.bytes_total, Some(3));
        assert_eq!(known[0].known.metadata.name.as_deref(), Some("x"));
    }
}
