//! What has to be true after every step, whatever failed.

use std::collections::{BTreeMap, BTreeSet};

use moc_domain::limits::{LEASE_MS, QUOTA_DAY_MS, SESSION_COUNTS_KEPT_MS, SWEEP_AFTER_MS, WEBHOOK_ATTEMPTS_MAX};
use moc_domain::part::PartNumber;
use moc_domain::quota::{FileQuotas, SessionQuotas};
use moc_fakes::MemoryBucket;

use crate::snapshot::{FileRow, Snapshot};

/// A part that a client has sent, from the step in which it was sent.
#[derive(Clone, Debug)]
struct Attempt {
    number: u16,
    bytes: Vec<u8>,
    start: u64,
    /// When its request ended; until then it may replace the part.
    end: Option<u64>,
    is_acknowledged: bool,
}

/// What is known of the requests and of the bucket.
#[derive(Default)]
pub struct Model {
    before: Snapshot,
    attempts: BTreeMap<String, Vec<Attempt>>,
    /// The task that took a lock, by its token.
    holders: BTreeMap<String, u64>,
    /// The MOC of a session with its title, once there is one.
    published: BTreeMap<String, (String, String)>,
    /// Files whose completion was acknowledged to a client.
    completed: BTreeSet<String>,
    /// Objects whose bytes were compared, by their key and ETag.
    compared: BTreeSet<(String, String)>,
    /// The task that created an upload, by its key.
    creators: BTreeMap<String, u64>,
    /// The task that deleted a file's record, by its key.
    forgotten: BTreeMap<String, u64>,
    /// Keys of which the response to a creation was lost, or an abort failed: the bucket's lifecycle rule ends them.
    left_uploads: BTreeSet<String>,
    /// Requests that ended because the store failed.
    stopped: BTreeSet<u64>,
    /// Keys whose last deletion failed.
    left_objects: BTreeSet<String>,
    /// How often the receiver has taken the webhook of a MOC.
    deliveries: BTreeMap<String, u64>,
    quotas: (SessionQuotas, FileQuotas),
    /// The last day in which a user has registered files, and their bytes.
    registered: BTreeMap<String, (i64, u64)>,
}

/// The index of an attempt.
#[derive(Clone, Debug)]
pub struct AttemptId(String, usize);

impl Model {
    pub fn new(sessions: SessionQuotas, files: FileQuotas) -> Self {
        Self { quotas: (sessions, files), ..Self::default() }
    }

    pub fn sent(&mut self, file: &str, number: PartNumber, bytes: &[u8], step: u64) -> AttemptId {
        let attempts = self.attempts.entry(file.to_owned()).or_default();
        let (number, bytes) = (number.get(), bytes.to_vec());
        attempts.push(Attempt { number, bytes, start: step, end: None, is_acknowledged: false });
        AttemptId(file.to_owned(), attempts.len() - 1)
    }

    pub fn acknowledged(&mut self, AttemptId(file, index): &AttemptId) {
        self.attempts.get_mut(file).expect("the file")[*index].is_acknowledged = true;
    }

    pub fn ended(&mut self, AttemptId(file, index): &AttemptId, step: u64) {
        self.attempts.get_mut(file).expect("the file")[*index].end.get_or_insert(step);
    }

    pub fn created_upload(&mut self, key: &str, task: u64, is_response_lost: bool) {
        self.creators.insert(key.to_owned(), task);
        if is_response_lost {
            self.left_uploads.insert(key.to_owned());
        }
    }

    pub fn abort_failed(&mut self, key: &str) {
        self.left_uploads.insert(key.to_owned());
    }

    pub fn deleted(&mut self, key: &str, has_failed: bool) {
        if has_failed {
            self.left_objects.insert(key.to_owned());
        } else {
            self.left_objects.remove(key);
        }
    }

    /// A request has ended because the store failed.
    pub fn stopped(&mut self, task: u64) {
        self.stopped.insert(task);
    }

    /// The completion of a file was acknowledged to a client.
    pub fn completed(&mut self, file: &str) {
        self.completed.insert(file.to_owned());
    }

    /// A finalize has succeeded.
    pub fn finalized(&mut self, session: &str, moc: &str, title: &str) -> Result<(), String> {
        let first = self.published.entry(session.to_owned()).or_insert_with(|| (moc.to_owned(), title.to_owned()));
        if (first.0.as_str(), first.1.as_str()) == (moc, title) {
            Ok(())
        } else {
            Err(format!("session {session} was published as {first:?}, and now as {:?}", (moc, title)))
        }
    }

    /// The receiver has taken a webhook.
    pub fn delivered(&mut self, moc: &str, session: &str, user: &str) -> Result<(), String> {
        *self.deliveries.entry(moc.to_owned()).or_default() += 1;
        let row = self.before.mocs.get(moc).ok_or_else(|| format!("a webhook of the MOC {moc}, which is not there"))?;
        if !self.before.sessions.contains_key(session) {
            return Err(format!("the webhook of {moc} came after its session was removed"));
        }
        let files = self.before.files.iter().filter(|(_, file)| file.session == row.session && file.etag.is_some());
        match (row.session == session && row.user == user, files.count() == row.files.len()) {
            (false, _) => Err(format!("the webhook of {moc} says {session} and {user}, which are wrong")),
            (_, false) => Err(format!("the webhook of {moc} came before its files")),
            (true, true) => Ok(()),
        }
    }

    pub fn gave_up(&self, moc: &str, attempt: u32) -> Result<(), String> {
        if attempt < WEBHOOK_ATTEMPTS_MAX {
            return Err(format!("the webhook of {moc} was given up after {attempt} attempts"));
        }
        Ok(())
    }

    /// Whether a part may have these bytes: no version that was sent after this one had ended is acknowledged.
    fn is_current(&self, file: &str, number: u16, bytes: &[u8]) -> bool {
        let Some(attempts) = self.attempts.get(file) else { return false };
        let of_part = || attempts.iter().filter(|attempt| attempt.number == number);
        of_part().filter(|attempt| attempt.bytes == bytes).any(|attempt| {
            let is_superseded =
                |other: &Attempt| other.is_acknowledged && attempt.end.is_some_and(|end| end < other.start);
            !of_part().any(is_superseded)
        })
    }

    /// Compares an object with what was acknowledged.
    fn compare(&mut self, id: &str, file: &FileRow, part_bytes: usize, bucket: &MemoryBucket) -> Result<(), String> {
        let Some(etag) = &file.etag else { return Ok(()) };
        let compared = (file.key.clone(), etag.clone());
        if self.compared.contains(&compared) {
            return if bucket.exists(&file.key) { Ok(()) } else { Err(format!("the object of file {id} is lost")) };
        }
        let bytes = bucket.object(&file.key).ok_or_else(|| format!("file {id} is complete and has no object"))?;
        if bytes.len() as i64 != file.size_bytes {
            return Err(format!("the object of file {id} has {} bytes, not {}", bytes.len(), file.size_bytes));
        }
        for (number, part) in (1..).zip(bytes.chunks(part_bytes)) {
            if !self.is_current(id, number, part) {
                return Err(format!("part {number} of the object of file {id} is not what was acknowledged: {part:?}"));
            }
        }
        self.compared.insert(compared);
        Ok(())
    }

    /// Checks every promise after the step in which `task` moved at `now`.
    pub fn check(
        &mut self,
        after: Snapshot,
        bucket: &MemoryBucket,
        part_bytes: usize,
        task: u64,
        now: i64,
    ) -> Result<(), String> {
        self.check_sessions(&after, task, now)?;
        self.check_sequences(&after)?;
        self.check_quotas(&after, now)?;
        check_leftovers(&after)?;
        self.check_mocs(&after, bucket, now)?;
        for (id, file) in &self.before.files.clone() {
            if !after.files.contains_key(id) && !self.is_swept(&file.session, now) {
                self.check_forgotten(id, file, &after, bucket)?;
                self.forgotten.insert(file.key.clone(), task);
            }
        }
        for (id, file) in &after.files {
            let is_cancelled = after.sessions[&file.session].status == "cancelled";
            let parts: Vec<i64> =
                after.parts.range((id.clone(), 0)..=(id.clone(), i64::MAX)).map(|(_, bytes)| *bytes).collect();
            let stored = (parts.len() as i64, parts.iter().sum::<i64>());
            // A sweep removes the parts first.
            if is_cancelled || self.is_swept(&file.session, now) {
                continue;
            }
            if file.etag.is_none() && stored != (file.parts_completed, file.bytes_completed) {
                let counted = (file.parts_completed, file.bytes_completed);
                return Err(format!("file {id} counts {counted:?} parts and bytes, and has {stored:?}"));
            }
            // Whoever rejects a file deletes its object, but never that of a file of a MOC.
            let is_published = after.mocs.values().any(|moc| moc.session == file.session);
            if !file.is_rejected || is_published || bucket.exists(&file.key) {
                self.compare(id, file, part_bytes, bucket)?;
            }
            if self.completed.contains(id) && file.etag.is_none() {
                return Err(format!("file {id} was complete, and is not"));
            }
            if file.etag.is_none() {
                self.check_parts(id, file, &after, bucket)?;
            }
        }
        self.before = after;
        Ok(())
    }

    /// An acknowledged part is in the store and in the bucket, unless the bucket has begun to complete the upload.
    fn check_parts(&self, id: &str, file: &FileRow, after: &Snapshot, bucket: &MemoryBucket) -> Result<(), String> {
        let acknowledged = self.attempts.get(id).into_iter().flatten().filter(|attempt| attempt.is_acknowledged);
        let numbers: BTreeSet<u16> = acknowledged.map(|attempt| attempt.number).collect();
        for number in numbers {
            if !after.parts.contains_key(&(id.to_owned(), i64::from(number))) {
                return Err(format!("the store has lost part {number} of file {id}"));
            }
            if !bucket.has_upload(&file.upload_id) {
                if file.completing_at.is_none() {
                    return Err(format!("the upload of file {id} is lost with its acknowledged part {number}"));
                }
                continue;
            }
            let part_number = PartNumber::new(number.into()).expect("a part number");
            let Some(part) = bucket.part(&file.upload_id, part_number) else {
                return Err(format!("the bucket has lost part {number} of file {id}"));
            };
            if !self.is_current(id, number, &part) {
                return Err(format!("part {number} of file {id} was replaced by an earlier version"));
            }
        }
        Ok(())
    }

    /// A record is deleted only if its upload is over without an object, replaced if a finalize has rejected it, or taken
    /// out of an active session.
    fn check_forgotten(&self, id: &str, file: &FileRow, after: &Snapshot, bucket: &MemoryBucket) -> Result<(), String> {
        let is_active = self.before.sessions[&file.session].status == "active";
        if after.removed.contains_key(id) {
            // Whatever the bucket has of it is cleared later.
            let status = &self.before.sessions[&file.session].status;
            return if is_active { Ok(()) } else { Err(format!("file {id} was taken out of a {status} session")) };
        }
        if file.etag.is_some() || self.completed.contains(id) {
            let same = |other: &FileRow| (&other.session, &other.name) == (&file.session, &file.name);
            return match (file.is_rejected && is_active, after.files.values().any(same)) {
                (true, true) => Ok(()),
                (true, false) => Err(format!("the rejected file {id} is gone, and no other has its place")),
                (false, _) => Err(format!("the completed file {id} is lost")),
            };
        }
        let (is_assembling, exists) = (bucket.is_assembling(&file.key), bucket.exists(&file.key));
        if bucket.has_upload(&file.upload_id) || is_assembling || exists {
            let state = format!("assembling: {is_assembling}, object: {exists}");
            return Err(format!("file {id} was given up although its bytes are in the bucket ({state})"));
        }
        Ok(())
    }

    /// Whether a session ended so long ago that a sweep may remove it.
    fn is_swept(&self, session: &str, now: i64) -> bool {
        self.before.sessions.get(session).is_some_and(|session| {
            let is_over = session.status == "cancelled" || session.status == "finalized";
            is_over && now >= session.expires_at + SWEEP_AFTER_MS
        })
    }

    fn check_sessions(&mut self, after: &Snapshot, task: u64, now: i64) -> Result<(), String> {
        for id in self.before.sessions.keys() {
            if !after.sessions.contains_key(id) && !self.is_swept(id, now) {
                return Err(format!("session {id} was removed before its time"));
            }
        }
        for (id, session) in &after.sessions {
            let Some(old) = self.before.sessions.get(id) else { continue };
            if let Some(token) = session.lock_token.as_ref().filter(|token| old.lock_token.as_ref() != Some(*token)) {
                let held_ms = now - old.finalizing_at;
                if old.lock_token.is_some() && held_ms < LEASE_MS {
                    return Err(format!(
                        "the lock of session {id} was taken {held_ms} ms after another request had it"
                    ));
                }
                self.holders.insert(token.clone(), task);
            } else if let Some(token) = &session.lock_token
                && session.finalizing_at != old.finalizing_at
                && self.holders.get(token) != Some(&task)
            {
                return Err(format!("the lock of session {id} was renewed by another request than its holder"));
            }
            match (old.status.as_str(), session.status.as_str()) {
                ("finalizing", "active") => {
                    let holder = old.lock_token.as_ref().and_then(|token| self.holders.get(token));
                    if holder != Some(&task) {
                        return Err(format!("the lock of session {id} was given back by another finalize"));
                    }
                }
                ("active", "finalizing" | "cancelled") | ("finalizing", "finalized") => {}
                (old, new) if old == new => {}
                (old, new) => return Err(format!("session {id} was {old}, and is {new}")),
            }
        }
        Ok(())
    }

    /// The number of a session never goes back, and grows with every change of what its state shows.
    fn check_sequences(&self, after: &Snapshot) -> Result<(), String> {
        for (id, session) in &after.sessions {
            let Some(old) = self.before.sessions.get(id) else { continue };
            let (old, new) = (old.sequence, session.sequence);
            if new < old {
                return Err(format!("the sequence of session {id} was {old}, and is {new}"));
            }
            if new == old && self.before.shown(id) != after.shown(id) {
                return Err(format!("session {id} has changed, and its sequence is still {old}"));
            }
        }
        Ok(())
    }

    /// Whatever is new is within the quotas, as they were counted when it was asked for.
    fn check_quotas(&mut self, after: &Snapshot, now: i64) -> Result<(), String> {
        let (sessions, files) = self.quotas;
        for (id, session) in after.sessions.iter().filter(|(id, _)| !self.before.sessions.contains_key(*id)) {
            let open = after.open_sessions(&session.user, session.created_at).count() as u64;
            if sessions.open.is_some_and(|limit| open > limit) {
                return Err(format!("session {id} is over the quota: {open} are open"));
            }
        }
        for (id, file) in after.files.iter().filter(|(id, _)| !self.before.files.contains_key(*id)) {
            let user = &after.sessions[&file.session].user;
            let open: Vec<&String> = after.open_sessions(user, file.created_at).collect();
            let pending = after.files.values().filter(|file| file.etag.is_none() && open.contains(&&file.session));
            let uploads = pending.count() as u64;
            if files.open_uploads.is_some_and(|limit| uploads > limit) {
                return Err(format!("file {id} is over the quota: {uploads} uploads are open"));
            }
            let of_session = after.files.values().filter(|other| other.session == file.session);
            let bytes: i64 = of_session.map(|file| file.size_bytes).sum();
            if files.session_bytes.is_some_and(|limit| bytes.unsigned_abs() > limit) {
                return Err(format!("file {id} is over the quota: its session has {bytes} bytes"));
            }
            let is_replaced = |(old, other): &(&String, &FileRow)| {
                (&other.session, &other.name) == (&file.session, &file.name) && !after.files.contains_key(*old)
            };
            let replaced = self.before.files.iter().find(is_replaced).map_or(0, |(_, other)| other.size_bytes);
            let day = file.created_at / QUOTA_DAY_MS;
            let registered = self.registered.entry(user.clone()).or_insert((day, 0));
            if day > registered.0 {
                *registered = (day, 0);
            }
            registered.1 += (file.size_bytes - replaced).max(0).unsigned_abs();
            if files.day_bytes.is_some_and(|limit| registered.1 > limit) {
                return Err(format!("file {id} is over the quota: {} bytes were registered today", registered.1));
            }
        }
        for (user, (day, bytes)) in self.registered.iter().filter(|_| files.day_bytes.is_some()) {
            let is_kept = now < day * QUOTA_DAY_MS + SESSION_COUNTS_KEPT_MS;
            if !is_kept && !after.registered.contains_key(user) {
                continue;
            }
            let counted = after.registered.get(user).copied().unwrap_or_default();
            if counted != *bytes {
                return Err(format!("{user} has registered {bytes} bytes, and {counted} are counted"));
            }
        }
        Ok(())
    }
    fn check_mocs(&mut self, after: &Snapshot, bucket: &MemoryBucket, now: i64) -> Result<(), String> {
        for (id, moc) in &after.mocs {
            if let Some(key) = moc.keys.iter().find(|key| !bucket.exists(key)) {
                return Err(format!("MOC {id} has lost its object {key}"));
            }
            self.finalized(&moc.session, id, &moc.title)?;
            // A sweep has removed it.
            let Some(session) = after.sessions.get(&moc.session) else { continue };
            if self.is_swept(&moc.session, now) {
                continue;
            }
            if session.user != moc.user {
                return Err(format!("MOC {id} belongs to {}, its session to {}", moc.user, session.user));
            }
            if session.status == "finalized" {
                let of_session = after.files.iter().filter(|(_, file)| file.session == moc.session);
                let files: Vec<&String> = of_session.map(|(id, _)| id).collect();
                if files != moc.files.iter().collect::<Vec<_>>() || session.moc_id.as_ref() != Some(id) {
                    return Err(format!("MOC {id} has the files {:?}, its session {files:?}", moc.files));
                }
            }
        }
        match self.before.mocs.keys().find(|id| !after.mocs.contains_key(*id)) {
            Some(id) => Err(format!("MOC {id} is lost")),
            None => Ok(()),
        }
    }

    /// Checks what has to be true once nothing moves any more.
    pub fn check_quiet(&self, bucket: &MemoryBucket, has_crashed: impl Fn(u64) -> bool) -> Result<(), String> {
        let Snapshot { sessions, files, removed, mocs, deliveries, .. } = &self.before;
        let is_cleared = |session: &str| sessions[session].status == "cancelled";
        if let Some((id, _)) = removed.iter().find(|(_, file)| is_cleared(&file.session)) {
            return Err(format!("the bucket was not cleared of file {id}"));
        }
        for (id, session) in sessions {
            if session.status == "finalizing" {
                return Err(format!("session {id} stays locked"));
            }
        }
        for (id, delivery) in deliveries {
            let is_given_up = delivery.status == "failed" && delivery.attempts >= i64::from(WEBHOOK_ATTEMPTS_MAX);
            if delivery.status == "pending" || !(self.deliveries.contains_key(id) || is_given_up) {
                return Err(format!("the webhook of MOC {id} was not delivered: {delivery:?}"));
            }
        }
        if let Some(id) = mocs.keys().find(|id| !deliveries.contains_key(*id)) {
            return Err(format!("MOC {id} has no webhook"));
        }
        let is_cut = |task: &u64| has_crashed(*task) || self.stopped.contains(task);
        let live = |file: &&FileRow| sessions[&file.session].status != "cancelled";
        for key in bucket.keys() {
            let belongs = files.values().filter(live).any(|file| file.key == key);
            // The use case ignores that a deletion fails: the object stays.
            let is_left = removed.values().any(|file| file.key == key)
                || self.left_objects.contains(&key)
                || self.forgotten.get(&key).is_some_and(is_cut);
            if !belongs && !is_left {
                return Err(format!("the object {key} belongs to no file"));
            }
        }
        for (key, upload_id) in bucket.uploads() {
            let pending = |file: &FileRow| file.upload_id == upload_id && file.etag.is_none();
            let belongs = files.values().filter(live).any(pending);
            let is_left = removed.values().any(|file| file.upload_id == upload_id)
                || self.left_uploads.contains(&key)
                || self.creators.get(&key).is_none_or(is_cut);
            if !belongs && !is_left {
                return Err(format!("the upload {upload_id} of {key} belongs to no pending file"));
            }
        }
        Ok(())
    }
}

/// A part belongs to a file.
fn check_leftovers(after: &Snapshot) -> Result<(), String> {
    match after.parts.keys().find(|(file, _)| !after.files.contains_key(file)) {
        Some((file, number)) => Err(format!("part {number} of file {file} is left, and the file is not")),
        None => Ok(()),
    }
}

/// Checks that sweeps have left nothing but MOCs.
pub fn check_swept(left: &Snapshot, bucket: &MemoryBucket) -> Result<(), String> {
    let Snapshot { sessions, files, removed, mocs, registered, .. } = left;
    if !(sessions.is_empty() && files.is_empty()) {
        return Err(format!("sweeps leave {sessions:?} and {files:?}"));
    }
    if !removed.is_empty() {
        return Err(format!("sweeps leave {removed:?}"));
    }
    if registered.values().any(|bytes| *bytes > 0) {
        return Err(format!("sweeps leave the counts {registered:?}"));
    }
    let published: BTreeSet<&String> = mocs.values().flat_map(|moc| &moc.keys).collect();
    let keys = bucket.keys();
    if published != keys.iter().collect() {
        return Err(format!("sweeps leave the objects {keys:?}, and the MOCs have {published:?}"));
    }
    match bucket.uploads() {
        uploads if uploads.is_empty() => Ok(()),
        uploads => Err(format!("sweeps leave the uploads {uploads:?}")),
    }
}
