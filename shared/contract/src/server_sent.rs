//! The states of a session as server-sent events
//! ([HTML](https://html.spec.whatwg.org/multipage/server-sent-events.html)).

use moc_domain::file::File;
use moc_domain::limits::EVENTS_RETRY_MS;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde::Serialize;

pub const MEDIA_TYPE: &str = "text/event-stream";
/// What keeps a stream alive on which nothing happens.
pub const COMMENT: &str = ":\n\n";

/// What a stream begins with: how long a client waits before it connects again.
#[must_use]
pub fn opening() -> String {
    format!("retry: {EVENTS_RETRY_MS}\n\n")
}

/// The `sequence` that a client has seen last, by its `Last-Event-ID`.
#[must_use]
pub fn last_sequence(last_event_id: &str) -> Option<u64> {
    last_event_id.trim().parse().ok()
}

/// The data of an event `state`, and without files of the event `end`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WatchedSession {
    /// Grows with every change of the session that watchers see.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Sequence))]
    sequence: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    session_id: String,
    /// What has become of it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::SessionStatus))]
    status: &'static str,
    /// When it ends unless it is used.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
    expires_at: String,
    /// The MOC that it has become.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id, required = false))]
    moc_id: Option<String>,
    /// Whether `files` are all files of the session, which then has no others; else those that have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    all_files: Option<bool>,
    /// Absent from `end`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::WatchedFiles, required = false))]
    files: Option<Vec<WatchedFile>>,
}

/// A file of a session that is watched.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct WatchedFile {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    file_id: String,
    /// The name that the client gave it.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::FileName))]
    name: String,
    /// What it is for.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Category))]
    category: &'static str,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::MediaType))]
    media_type: &'static str,
    /// Whether it is complete.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileStatus))]
    status: &'static str,
    /// Bytes of the stored parts.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredBytes))]
    bytes_completed: u64,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    bytes_total: u64,
    /// How many different parts are stored.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredPartCount))]
    parts_completed: u16,
    /// How many it has.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartCount))]
    parts_total: u16,
}

impl WatchedSession {
    /// A session at `now`, with all of its files, or those that have changed.
    #[must_use]
    pub fn with_files<'a>(
        session: &Session,
        now: Timestamp,
        files: impl IntoIterator<Item = &'a File>,
        are_all: bool,
    ) -> Self {
        let files = files.into_iter().map(WatchedFile::new).collect();
        Self { all_files: Some(are_all), files: Some(files), ..Self::without_files(session, now) }
    }

    fn without_files(session: &Session, now: Timestamp) -> Self {
        Self {
            sequence: session.sequence,
            session_id: session.id.to_string(),
            status: session.status_at(now),
            expires_at: session.expires_at.to_string(),
            moc_id: session.moc_id.map(|id| id.to_string()),
            all_files: None,
            files: None,
        }
    }

    /// The event `state` with this.
    #[must_use]
    pub fn event(&self) -> String {
        self.named("state")
    }

    // JSON has no line breaks, so the data is one line. What an event holds always serialises.
    fn named(&self, event: &str) -> String {
        let data = serde_json::to_string(self).unwrap_or_default();
        format!("event: {event}\nid: {}\ndata: {data}\n\n", self.sequence)
    }
}

/// The event `end` of a session that has ended, after which a client does not connect again.
#[must_use]
pub fn end(session: &Session, now: Timestamp) -> String {
    WatchedSession::without_files(session, now).named("end")
}

impl WatchedFile {
    fn new(file: &File) -> Self {
        Self {
            file_id: file.id.to_string(),
            name: file.name.clone(),
            category: file.category.as_str(),
            media_type: file.content.media_type(),
            status: if file.is_completed() { "completed" } else { "pending" },
            bytes_completed: file.bytes_completed,
            bytes_total: file.size_bytes,
            parts_completed: file.parts_completed,
            parts_total: file.plan.total(),
        }
    }
}

#[cfg(test)]
mod tests {
    use moc_domain::id::{SessionId, UserId};
    use moc_domain::session::Status;
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn session(status: Status, expires_at: Timestamp) -> Session {
        Session {
            id: SessionId::new(NOW, [7; 10]),
            user: UserId::parse("alice").unwrap(),
            status,
            part_size_bytes: 5 << 20,
            created_at: NOW,
            expires_at,
            finalizing_at: None,
            moc_id: None,
            sequence: 42,
        }
    }

    /// The data of an event, which has to be of this name and number.
    fn data(event: &str, name: &str) -> Value {
        let data = event.strip_prefix(&format!("event: {name}\nid: 42\ndata: ")).unwrap_or_else(|| panic!("{event}"));
        let data = data.strip_suffix("\n\n").unwrap_or_else(|| panic!("{event}"));
        assert!(!data.contains(['\r', '\n']), "{data}");
        serde_json::from_str(data).unwrap()
    }

    #[test]
    fn a_state_is_one_line_of_data_with_the_sequence_as_its_id() {
        let session = session(Status::Active, NOW.plus_millis(1_000));
        let state = WatchedSession::with_files(&session, NOW, [], true).event();
        let expected = json!({
            "sequence": 42,
            "sessionId": session.id.to_string(),
            "status": "active",
            "expiresAt": "2023-11-14T22:13:21.000Z",
            "allFiles": true,
            "files": [],
        });
        assert_eq!(data(&state, "state"), expected);
    }

    #[test]
    fn an_end_has_no_files() {
        let ended = data(&end(&session(Status::Active, NOW), NOW), "end");
        assert_eq!((&ended["status"], ended.get("files"), ended.get("allFiles")), (&json!("expired"), None, None));
    }

    #[test]
    fn only_a_number_is_an_event_that_was_seen() {
        assert_eq!(last_sequence("42"), Some(42));
        assert_eq!(last_sequence(" 42 "), Some(42));
        for other in ["", "-1", "4.2", "42a", "0x2a", "99999999999999999999", "last"] {
            assert_eq!(last_sequence(other), None, "{other}");
        }
    }

    #[test]
    fn a_stream_begins_with_the_pause_before_the_next_one() {
        assert_eq!(opening(), "retry: 1000\n\n");
        assert!(COMMENT.starts_with(':') && COMMENT.ends_with("\n\n"));
    }
}
