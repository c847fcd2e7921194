//! The progress of a session, from its state and its events.

use crate::api::State;
use crate::event::Known;

/// The files of a session, in the order in which they became known.
#[derive(Default)]
pub struct Progress {
    files: Vec<File>,
    // The two events that end a session.
    lifecycle_ended: bool,
    upload_ended: bool,
}

/// How far a file is.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct File {
    pub id: String,
    /// Empty until it is known.
    pub name: String,
    pub parts_completed: u64,
    pub parts_total: u64,
    pub bytes_completed: u64,
    pub bytes_total: u64,
    pub is_completed: bool,
}

impl Progress {
    pub fn files(&self) -> &[File] {
        &self.files
    }

    pub fn file(&self, id: &str) -> Option<&File> {
        self.files.iter().find(|file| file.id == id)
    }

    /// Whether one of the two last events came.
    pub fn is_ending(&self) -> bool {
        self.lifecycle_ended || self.upload_ended
    }

    /// Whether both came.
    pub fn has_ended(&self) -> bool {
        self.lifecycle_ended && self.upload_ended
    }

    /// Takes a state over, which knows all files. Numbers never fall: events may have said more already.
    pub fn set(&mut self, state: &State) {
        self.files.retain(|file| state.files.iter().any(|listed| listed.file_id == file.id));
        for listed in &state.files {
            let file = self.file_mut(&listed.file_id);
            file.name.clone_from(&listed.name);
            file.parts_total = listed.parts_total;
            file.bytes_total = listed.bytes_total;
            file.raise(Some(listed.parts_completed), Some(listed.bytes_completed));
            if listed.status == "completed" {
                file.complete();
            }
        }
    }

    /// Takes an event over. Those of requests that ran at once may come in any order, so numbers never fall.
    pub fn add(&mut self, event: &Known) {
        match event.kind.as_str() {
            "session_finalized" => self.lifecycle_ended = true,
            "upload.session.finalized" => self.upload_ended = true,
            _ => {}
        }
        let Some(id) = &event.file_id else { return };
        let file = self.file_mut(id);
        let counts = &event.progress;
        if let Some(name) = &event.metadata.name {
            file.name.clone_from(name);
        }
        file.parts_total = counts.parts_total.or(event.total_parts).unwrap_or(file.parts_total);
        file.bytes_total = counts.bytes_total.unwrap_or(file.bytes_total);
        file.raise(counts.parts_completed.or(event.completed_parts), counts.bytes_completed);
        if event.kind == "file_completed" {
            file.complete();
        }
    }

    fn file_mut(&mut self, id: &str) -> &mut File {
        let known = self.files.iter().position(|file| file.id == id);
        let place = known.unwrap_or(self.files.len());
        if known.is_none() {
            self.files.push(File { id: id.to_owned(), ..File::default() });
        }
        #[expect(clippy::indexing_slicing, reason = "it was found there, or has just been put there")]
        &mut self.files[place]
    }
}

impl File {
    fn raise(&mut self, parts: Option<u64>, bytes: Option<u64>) {
        self.parts_completed = self.parts_completed.max(parts.unwrap_or(0)).min(self.parts_total);
        self.bytes_completed = self.bytes_completed.max(bytes.unwrap_or(0)).min(self.bytes_total);
    }

    fn complete(&mut self) {
        self.is_completed = true;
        self.parts_completed = self.parts_total;
        self.bytes_completed = self.bytes_total;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn progress(events: &[Value]) -> Progress {
        let mut progress = Progress::default();
        for event in events {
            progress.add(&serde_json::from_value(event.clone()).unwrap());
        }
        progress
    }

    fn registered(id: &str) -> Value {
        let counts = json!({"partsCompleted": 0, "partsTotal": 3, "bytesCompleted": 0, "bytesTotal": 25});
        json!({"type": "file_registered", "fileId": id, "progress": counts, "metadata": {"name": "castle.pdf"}})
    }

    fn part(parts: u64, bytes: u64) -> Value {
        let counts = json!({"partsCompleted": parts, "partsTotal": 3, "bytesCompleted": bytes, "bytesTotal": 25});
        json!({"type": "part_uploaded", "fileId": "f", "progress": counts, "metadata": {"partNumber": 1}})
    }

    fn upload(parts: u64) -> Value {
        json!({"type": "upload.part.completed", "fileId": "f", "totalParts": 3, "completedParts": parts})
    }

    fn state(files: Value) -> State {
        let mut state = json!({"status": "active"});
        state["files"] = files;
        serde_json::from_value(state).unwrap()
    }

    fn counts(progress: &Progress) -> (u64, u64) {
        let file = progress.file("f").unwrap();
        (file.parts_completed, file.bytes_completed)
    }

    #[test]
    fn a_file_goes_from_registered_to_completed() {
        let mut events = vec![registered("f")];
        let file = progress(&events).files()[0].clone();
        assert_eq!((file.name.as_str(), file.parts_total, file.bytes_total), ("castle.pdf", 3, 25));
        events.extend([part(1, 10), upload(1)]);
        assert_eq!(counts(&progress(&events)), (1, 10));
        // Parts that went by presigned URLs had no events.
        events.push(json!({"type": "file_completed", "fileId": "f", "progress": {}, "metadata": {}}));
        let progress = progress(&events);
        assert_eq!(counts(&progress), (3, 25));
        assert!(progress.files()[0].is_completed);
        assert_eq!(progress.files()[0].name, "castle.pdf");
    }

    #[test]
    fn numbers_never_fall_and_never_pass_the_total() {
        // Out of order, again, and more than there is.
        let mut events = vec![registered("f"), part(2, 20), upload(2), part(1, 10), upload(1)];
        assert_eq!(counts(&progress(&events)), (2, 20));
        events.extend([part(2, 20), registered("f")]);
        assert_eq!(counts(&progress(&events)), (2, 20));
        events.push(part(9, 99));
        assert_eq!(counts(&progress(&events)), (3, 25));
    }

    #[test]
    fn a_state_gives_what_was_missed_and_takes_nothing_back() {
        let mut progress = progress(&[registered("f"), part(2, 20), registered("gone")]);
        let mut listed = json!({"fileId": "f", "name": "castle.pdf", "status": "pending", "partsCompleted": 1,
            "partsTotal": 3, "bytesCompleted": 10, "bytesTotal": 25});
        let mut other = listed.clone();
        (other["fileId"], other["status"]) = (json!("g"), json!("completed"));
        progress.set(&state(json!([listed, other])));
        assert_eq!(counts(&progress), (2, 20));
        assert!(progress.file("gone").is_none());
        assert_eq!(progress.file("g").unwrap().bytes_completed, 25);
        listed["partsCompleted"] = json!(3);
        listed["bytesCompleted"] = json!(25);
        progress.set(&state(json!([listed])));
        assert_eq!(counts(&progress), (3, 25));
        assert!(!progress.files()[0].is_completed);
    }

    #[test]
    fn two_events_end_a_session() {
        let (lifecycle, upload) = (json!({"type": "session_finalized"}), json!({"type": "upload.session.finalized"}));
        assert!(!progress(&[registered("f")]).is_ending());
        for event in [&lifecycle, &upload] {
            let progress = progress(std::slice::from_ref(event));
            assert!(progress.is_ending() && !progress.has_ended());
        }
        assert!(progress(&[lifecycle, upload]).has_ended());
    }
}
