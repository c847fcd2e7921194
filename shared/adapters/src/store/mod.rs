//! The store over Spin's SQLite: one statement for every change of state.

mod connection;
mod deliveries;
mod files;
mod mocs;
mod row;
mod sessions;

use std::rc::Rc;

use moc_application::port::{Inserted, Registered, Store, StoreError};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::id::{FileId, LockToken, MocId, SessionId, UserId};
use moc_domain::moc::Moc;
use moc_domain::session::Session;
use moc_domain::time::Timestamp;

use connection::Connection;
pub use connection::{MIGRATIONS, has_run_before, statements};

/// The store in the SQLite database `default`.
pub struct SqliteStore(Rc<Connection>);

impl SqliteStore {
    /// The store of this instance: its connection is opened once and shared by its requests.
    #[must_use]
    pub fn new() -> Self {
        Self(Connection::shared())
    }
}

impl Default for SqliteStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for SqliteStore {
    async fn count_session(&self, user: &UserId, window_start: Timestamp) -> Result<u64, StoreError> {
        sessions::count(&self.0, user, window_start).await
    }

    async fn insert_session(&self, session: &Session) -> Result<(), StoreError> {
        sessions::insert(&self.0, session).await
    }

    async fn session(&self, id: SessionId) -> Result<Option<Session>, StoreError> {
        sessions::get(&self.0, id).await
    }

    async fn session_with_files(&self, id: SessionId) -> Result<Option<(Session, Vec<File>)>, StoreError> {
        sessions::get_with_files(&self.0, id).await
    }

    async fn extend_session(&self, id: SessionId, expires_at: Timestamp) -> Result<(), StoreError> {
        sessions::extend(&self.0, id, expires_at).await
    }

    async fn cancel_session(&self, id: SessionId) -> Result<bool, StoreError> {
        sessions::cancel(&self.0, id).await
    }

    async fn insert_file(&self, file: &File, files_max: u64) -> Result<Registered, StoreError> {
        files::insert(&self.0, file, files_max).await
    }

    async fn file(&self, session: SessionId, file: FileId) -> Result<Option<(Session, File)>, StoreError> {
        files::get(&self.0, session, file).await
    }

    async fn file_with_parts(
        &self,
        session: SessionId,
        file: FileId,
    ) -> Result<Option<(Session, File, Vec<StoredPart>)>, StoreError> {
        files::get_with_parts(&self.0, session, file).await
    }

    async fn record_part(
        &self,
        file: FileId,
        part: &StoredPart,
        sha256: Option<[u8; 32]>,
    ) -> Result<Option<Progress>, StoreError> {
        files::record_part(&self.0, file, part, sha256).await
    }

    async fn complete_file(&self, file: &File, etag: &ETag, now: Timestamp) -> Result<bool, StoreError> {
        files::complete(&self.0, file, etag, now).await
    }

    async fn reject_file(&self, file: FileId) -> Result<(), StoreError> {
        files::reject(&self.0, file).await
    }

    async fn forget_file(&self, file: FileId) -> Result<bool, StoreError> {
        files::forget(&self.0, file).await
    }

    async fn lock_session(
        &self,
        id: SessionId,
        token: LockToken,
        now: Timestamp,
        stale_before: Timestamp,
    ) -> Result<bool, StoreError> {
        sessions::lock(&self.0, id, token, now, stale_before).await
    }

    async fn unlock_session(&self, id: SessionId, token: LockToken) -> Result<(), StoreError> {
        sessions::unlock(&self.0, id, token).await
    }

    async fn insert_moc(&self, moc: &Moc, token: LockToken, webhook: bool) -> Result<Inserted, StoreError> {
        mocs::insert(&self.0, moc, token, webhook).await
    }

    async fn insert_moc_files(&self, moc: MocId, session: SessionId) -> Result<(), StoreError> {
        mocs::insert_files(&self.0, moc, session).await
    }

    async fn finish_session(&self, id: SessionId, moc: MocId) -> Result<(), StoreError> {
        sessions::finish(&self.0, id, moc).await
    }

    async fn set_thumbnail(&self, moc: MocId, key: &str) -> Result<(), StoreError> {
        mocs::set_thumbnail(&self.0, moc, key).await
    }

    async fn taken_slugs(&self, user: &UserId, slugs: &[String]) -> Result<Vec<String>, StoreError> {
        mocs::taken_slugs(&self.0, user, slugs).await
    }

    async fn moc(&self, id: MocId) -> Result<Option<Moc>, StoreError> {
        mocs::get(&self.0, id).await
    }

    async fn moc_of_session(&self, id: SessionId) -> Result<Option<Moc>, StoreError> {
        mocs::of_session(&self.0, id).await
    }
}
