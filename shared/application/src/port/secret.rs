//! Secrets that the application makes for itself.

use moc_domain::time::Timestamp;

use super::StoreError;

/// Secrets by name, which all instances and servers share.
pub trait Secrets {
    /// The secret of this name, if it has been made.
    async fn secret(&self, name: &str) -> Result<Option<String>, StoreError>;
    /// Keeps `fresh` as the secret of this name, unless there is one already; returns the one that is kept.
    async fn make_secret(&self, name: &str, fresh: &str, now: Timestamp) -> Result<String, StoreError>;
}
