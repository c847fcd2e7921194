//! The cases of secrets.

use moc_application::port::Secrets as _;
use moc_domain::id::FileId;

use super::{Database, now, random};

/// Servers that make a secret at once.
const SERVERS: usize = 8;

pub async fn makes_a_secret_once_among_servers(database: &impl Database) {
    let store = &database.store().await;
    let [name, other] = [0; 2].map(|_| FileId::new(now(), random()).to_string());
    assert_eq!(store.secret(&name).await.unwrap(), None);
    let made = database
        .concurrently(SERVERS, async |store, server| {
            store.make_secret(&name, &format!("secret {server}"), now()).await.unwrap()
        })
        .await;
    let kept = store.secret(&name).await.unwrap().expect("a secret");
    assert!(kept.starts_with("secret ") && made.iter().all(|secret| *secret == kept), "{made:?}");
    assert_eq!(store.make_secret(&name, "later", now()).await.unwrap(), kept);
    assert_eq!(store.make_secret(&other, "of another name", now()).await.unwrap(), "of another name");
    assert_eq!(store.secret(&name).await.unwrap(), Some(kept));
}
