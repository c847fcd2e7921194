//! What those who watch an upload receive. `asyncapi.yaml` next to this crate's sources describes it.
//! Of each step, the event of the session's life comes first.
//!
//! Events are advisory: one may be lost, and those of two instances may cross. `sequence` shows their order: it is the
//! number of the change in its session, which never goes back. The store has the truth, and `GET /sessions/:sessionId`
//! shows it.

use moc_domain::error::ErrorKind;
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{SessionId, UserId};
use moc_domain::moc::Moc;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

/// Events of one session, as they go to the relay, and on to a broadcaster that takes JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EventBatch {
    pub session_id: String,
    pub user_id: String,
    /// What has happened in it, in order. Each event is serialised once, and then passed on as it is.
    pub events: Vec<Box<RawValue>>,
}

impl EventBatch {
    /// Events of a user's session. What an event holds always serialises.
    #[must_use]
    pub fn new(session: SessionId, user: &UserId, events: &[Event]) -> Self {
        let events = events.iter().filter_map(|event| to_raw_value(event).ok()).collect();
        Self { session_id: session.to_string(), user_id: user.to_string(), events }
    }

    /// Reads what a component has written: a list of batches.
    ///
    /// # Errors
    /// [`ErrorKind::MalformedBody`].
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, ErrorKind> {
        serde_json::from_slice(bytes).map_err(|error| ErrorKind::MalformedBody { detail: error.to_string() })
    }

    /// The most bytes that it takes in a list of batches: a user's id has no control characters, so an escape doubles one.
    #[must_use]
    pub fn max_bytes(&self) -> u64 {
        const FRAME: &str = r#"[{"sessionId":"","userId":"","events":[]}]"#;
        let events = self.events.iter().map(|event| event.get().len() + 1).sum::<usize>();
        (FRAME.len() + self.session_id.len() + 2 * self.user_id.len() + events) as u64
    }
}

/// One event.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// A step in the life of a session.
    Lifecycle(LifecycleEvent),
    /// A part was stored.
    PartCompleted(PartCompletedEvent),
    /// A session has become a MOC.
    SessionFinalized(SessionFinalizedEvent),
}

/// A step in the life of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LifecycleEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    session_id: String,
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<FileProgress>,
    timestamp: String,
    metadata: Value,
}

/// How much of a file is stored.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileProgress {
    parts_completed: u16,
    parts_total: u16,
    bytes_completed: u64,
    bytes_total: u64,
}

/// A part was stored, for the first time or again.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PartCompletedEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    session_id: String,
    sequence: u64,
    file_id: String,
    part_number: u16,
    etag: String,
    total_parts: u16,
    completed_parts: u16,
    percent_complete: u8,
}

/// A session has become a MOC.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionFinalizedEvent {
    #[serde(rename = "type")]
    kind: &'static str,
    session_id: String,
    sequence: u64,
    moc_id: String,
    status: &'static str,
}

/// The events of a new session.
#[must_use]
pub fn session_created(session: &Session, now: Timestamp) -> Vec<Event> {
    let metadata = json!({ "expiresAt": session.expires_at.to_string(), "partSizeBytes": session.part_size_bytes });
    vec![lifecycle("session_created", session.id, session.sequence, None, metadata, now)]
}

/// The events of a new file; `sequence` is the number of the change.
#[must_use]
pub fn file_registered(file: &File, sequence: u64, now: Timestamp) -> Vec<Event> {
    let nothing = Progress { parts_completed: 0, bytes_completed: 0, sequence };
    let metadata = json!({ "category": file.category.as_str(), "name": file.name });
    vec![lifecycle("file_registered", file.session_id, sequence, Some((file, nothing)), metadata, now)]
}

/// The events of a stored part; `progress` is the file's since then.
#[must_use]
pub fn part_stored(file: &File, part: &StoredPart, progress: Progress, now: Timestamp) -> Vec<Event> {
    let (number, etag) = (part.number.get(), part.etag.quoted());
    let metadata = json!({ "partNumber": number, "etag": etag });
    let completed = PartCompletedEvent {
        kind: "upload.part.completed",
        session_id: file.session_id.to_string(),
        sequence: progress.sequence,
        file_id: file.id.to_string(),
        part_number: number,
        etag,
        total_parts: file.plan.total(),
        completed_parts: progress.parts_completed,
        percent_complete: progress.percent_of(file.plan),
    };
    let uploaded =
        lifecycle("part_uploaded", file.session_id, progress.sequence, Some((file, progress)), metadata, now);
    vec![uploaded, Event::PartCompleted(completed)]
}

/// The events of a file that was completed with this ETag; `sequence` is the number of the change.
#[must_use]
pub fn file_completed(file: &File, etag: &ETag, sequence: u64, now: Timestamp) -> Vec<Event> {
    let all = Progress { parts_completed: file.plan.total(), bytes_completed: file.size_bytes, sequence };
    let metadata = json!({ "name": file.name, "etag": etag.quoted() });
    vec![lifecycle("file_completed", file.session_id, sequence, Some((file, all)), metadata, now)]
}

/// The events of a session that became a MOC; `sequence` is the number of the change.
#[must_use]
pub fn session_finalized(moc: &Moc, sequence: u64, now: Timestamp) -> Vec<Event> {
    let moc_id = moc.id.to_string();
    let metadata = json!({ "mocId": moc_id });
    let finalized = SessionFinalizedEvent {
        kind: "upload.session.finalized",
        session_id: moc.session_id.to_string(),
        sequence,
        moc_id,
        status: "success",
    };
    let lived = lifecycle("session_finalized", moc.session_id, sequence, None, metadata, now);
    vec![lived, Event::SessionFinalized(finalized)]
}

fn lifecycle(
    kind: &'static str,
    session: SessionId,
    sequence: u64,
    file: Option<(&File, Progress)>,
    metadata: Value,
    now: Timestamp,
) -> Event {
    let progress = |(file, progress): (&File, Progress)| FileProgress {
        parts_completed: progress.parts_completed,
        parts_total: file.plan.total(),
        bytes_completed: progress.bytes_completed,
        bytes_total: file.size_bytes,
    };
    Event::Lifecycle(LifecycleEvent {
        kind,
        session_id: session.to_string(),
        sequence,
        file_id: file.map(|(file, _)| file.id.to_string()),
        progress: file.map(progress),
        timestamp: now.to_string(),
        metadata,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_read_as_it_was_written_and_no_longer_than_announced() {
        let event = |moc: &str| {
            Event::SessionFinalized(SessionFinalizedEvent {
                kind: "upload.session.finalized",
                session_id: "s".into(),
                sequence: 9,
                moc_id: moc.into(),
                status: "success",
            })
        };
        let user = UserId::parse("\"\\\"|").unwrap();
        let session = SessionId::new(Timestamp::from_millis(1), [1; 10]);
        let batches =
            [EventBatch::new(session, &user, &[event("a"), event("\"")]), EventBatch::new(session, &user, &[])];
        let written = serde_json::to_string(&batches).unwrap();
        assert!(written.len() as u64 <= batches.iter().map(EventBatch::max_bytes).sum());
        let read = EventBatch::read_all(written.as_bytes()).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), written);
    }
}
