//! The issuer's keys (RFC 7517), kept for ten minutes in the key-value store, so that instances
//! share one fetch.

use std::cell::RefCell;
use std::rc::Rc;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use moc_application::port::Platform as _;
use moc_domain::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use spin_sdk::key_value::Store;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::log;
use crate::outbound::{self, Payload};
use crate::platform::WasiPlatform;

/// How long fetched keys are used.
const KEPT_MS: i64 = 10 * 60 * 1000;
/// An unknown key id makes the keys be fetched again, but not more often than this.
const REFETCH_PAUSE_MS: i64 = 5_000;
/// Largest key set, in bytes.
const KEY_SET_MAX_BYTES: usize = 256 * 1024;
/// The entry of the key-value store.
const ENTRY: &str = "jwk-set";

/// Fetched keys.
#[derive(Serialize, Deserialize)]
struct Kept {
    url: String,
    fetched_at_ms: i64,
    /// When an unknown key id last made them be fetched again.
    refetched_at_ms: i64,
    keys: JwkSet,
}

thread_local! {
    static KEPT: RefCell<Option<Rc<Kept>>> = const { RefCell::new(None) };
}

/// The key of this id; without an id, the only key there is. One that is missing may be new: the
/// keys are fetched once more.
pub async fn find(url: &Url, id: Option<&str>) -> Result<Jwk, Error> {
    let now = WasiPlatform.now().as_millis();
    let kept = current(url, now).await?;
    if let Some(key) = choose(&kept.keys, id) {
        return Ok(key);
    }
    if now - kept.refetched_at_ms >= REFETCH_PAUSE_MS {
        let fetched = fetch(url, now, now).await?;
        if let Some(key) = choose(&fetched.keys, id) {
            return Ok(key);
        }
    }
    Err(Error::with_source(ErrorKind::Unauthorized, "no key of the issuer has the token's key id"))
}

fn choose(keys: &JwkSet, id: Option<&str>) -> Option<Jwk> {
    match (id, keys.keys.as_slice()) {
        (Some(id), _) => keys.find(id).cloned(),
        (None, [only]) => Some(only.clone()),
        (None, _) => None,
    }
}

/// The keys of this instance, of the key-value store, or of the issuer, the first that is fresh.
async fn current(url: &Url, now: i64) -> Result<Rc<Kept>, Error> {
    let is_fresh = |kept: &Kept| kept.url == url.as_str() && (0..KEPT_MS).contains(&(now - kept.fetched_at_ms));
    if let Some(kept) = KEPT.with_borrow(Clone::clone).filter(|kept| is_fresh(kept)) {
        return Ok(kept);
    }
    if let Some(kept) = stored().await.filter(is_fresh) {
        let kept = Rc::new(kept);
        KEPT.set(Some(Rc::clone(&kept)));
        return Ok(kept);
    }
    fetch(url, now, 0).await
}

async fn stored() -> Option<Kept> {
    let store = Store::open_default().await.ok()?;
    serde_json::from_slice(&store.get(ENTRY).await.ok()??).ok()
}

async fn fetch(url: &Url, now: i64, refetched_at_ms: i64) -> Result<Rc<Kept>, Error> {
    let keys = get(url).await.map_err(|cause| {
        log::warn(&format!("the keys at jwt_jwks_url cannot be fetched: {cause}"));
        Error::with_source(ErrorKind::Unauthorized, format!("no keys: {cause}"))
    })?;
    let kept = Rc::new(Kept { url: url.as_str().to_owned(), fetched_at_ms: now, refetched_at_ms, keys });
    KEPT.set(Some(Rc::clone(&kept)));
    // A store that is unavailable costs a fetch an instance, and nothing else.
    if let (Ok(store), Ok(bytes)) = (Store::open_default().await, serde_json::to_vec(&*kept)) {
        let _ = store.set(ENTRY, bytes).await;
    }
    Ok(kept)
}

async fn get(url: &Url) -> Result<JwkSet, String> {
    let headers = [("accept", "application/json")];
    let reply = outbound::send(Method::Get, url, &headers, Payload::Empty).await.map_err(|error| error.to_string())?;
    if reply.status != 200 {
        return Err(format!("status {}", reply.status));
    }
    let bytes = reply.read(KEY_SET_MAX_BYTES, true).await.map_err(|error| error.to_string())?;
    // Keys of kinds that are unknown here are skipped, as RFC 7517, section 5, asks.
    let set: RawSet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    Ok(JwkSet { keys })
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}
