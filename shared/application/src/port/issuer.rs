//! The issuer of users' tokens, and where its keys are kept for all instances.

use moc_domain::time::Timestamp;

use super::StoreError;

/// What is known of the last fetch of a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchState {
    /// It runs, or its instance crashed.
    Running,
    /// It brought the keys.
    Done,
    /// The issuer did not respond with keys.
    Failed,
}

/// A key set as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySetRecord {
    /// As the issuer sent it; empty before the first fetch that succeeded.
    pub document: String,
    /// When that fetch ended.
    pub fetched_at: Timestamp,
    /// No fetch begins earlier.
    pub next_fetch_at: Timestamp,
    pub state: FetchState,
}

/// The key sets of issuers, by URL. Whoever writes them decides who every user is, so they are in the database, which
/// only this application writes.
pub trait KeySets {
    async fn key_set(&self, url: &str) -> Result<Option<KeySetRecord>, StoreError>;
    /// Claims the next fetch until `lease`. `false` unless a fetch is due.
    async fn claim_fetch(&self, url: &str, now: Timestamp, lease: Timestamp) -> Result<bool, StoreError>;
    /// Ends the fetch that was claimed until `lease`, with the document that it brought. Changes nothing if another
    /// fetch was claimed since.
    async fn end_fetch(
        &self,
        url: &str,
        lease: Timestamp,
        fetched: Option<(&str, Timestamp)>,
        next_fetch_at: Timestamp,
    ) -> Result<(), StoreError>;
}

/// The issuer of users' tokens.
pub trait Issuer {
    /// Its keys.
    type Keys;

    /// The URL of its key set.
    fn url(&self) -> &str;
    /// Fetches the key set, in [`moc_domain::limits::KEY_SET_FETCH_MAX_MS`] and
    /// [`moc_domain::limits::KEY_SET_MAX_BYTES`] at most. The error says why there is none, for the log.
    async fn fetch(&self) -> Result<String, String>;
    /// Reads a key set. The error says why it cannot be read, for the log.
    fn parse(&self, document: &str) -> Result<Self::Keys, String>;
    /// Called when a fetch has failed.
    fn failed(&self, cause: &str);
}
