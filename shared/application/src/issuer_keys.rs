//! Finds the keys of the tokens' issuer. Instances are short-lived, so the keys and the time of the next fetch are in
//! the store: tokens that anyone can make up never cause more fetches than one every few seconds, however many
//! instances and servers there are.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::{KEY_SET_FRESH_MS, KEY_SET_PAUSE_MS, KEY_SET_POLL_MS, KEY_SET_STALE_MS, KEY_SET_WAIT_MAX_MS};
use moc_domain::time::Timestamp;

use crate::port::{FetchState, Issuer, KeySetRecord, KeySets, Platform};

/// What an instance knows of its issuer's keys. Its requests share it.
pub struct KnownKeys<K> {
    keys: RefCell<Option<Rc<K>>>,
    fetched_at: Cell<Timestamp>,
    next_fetch_at: Cell<Timestamp>,
    state: Cell<FetchState>,
    /// Whether a request asks the store or the issuer.
    is_asking: Cell<bool>,
}

impl<K> Default for KnownKeys<K> {
    fn default() -> Self {
        Self {
            keys: RefCell::default(),
            fetched_at: Cell::new(Timestamp::from_millis(0)),
            next_fetch_at: Cell::new(Timestamp::from_millis(0)),
            state: Cell::new(FetchState::Running),
            is_asking: Cell::default(),
        }
    }
}

/// The right of one request to ask. Dropping it gives it back.
struct Asking<'a>(&'a Cell<bool>);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

impl<K> KnownKeys<K> {
    /// The keys, unless they are older than `max_ms`. Those that a wrong clock fetched in the future are not used.
    fn younger_than(&self, max_ms: i64, now: Timestamp) -> Option<Rc<K>> {
        let is_young = (0..max_ms).contains(&now.millis_since(self.fetched_at.get()));
        self.keys.borrow().clone().filter(|_| is_young)
    }

    /// Whether no fetch may begin. No pause is longer than the longest, even if a clock was wrong.
    fn is_paused(&self, now: Timestamp) -> bool {
        (1..=KEY_SET_PAUSE_MS).contains(&self.next_fetch_at.get().millis_since(now))
    }

    fn set(&self, keys: K, fetched_at: Timestamp) {
        self.keys.replace(Some(Rc::new(keys)));
        self.fetched_at.set(fetched_at);
    }

    /// Takes over what the store has. A document that cannot be read counts as none.
    fn adopt(&self, issuer: &impl Issuer<Keys = K>, record: KeySetRecord) {
        if record.fetched_at != self.fetched_at.get()
            && let Ok(keys) = issuer.parse(&record.document)
        {
            self.set(keys, record.fetched_at);
        }
        self.next_fetch_at.set(record.next_fetch_at);
        self.state.set(record.state);
    }
}

/// What the issuer's keys say of a token: what `choose` returns for them. It returns `None` if they lack the key that
/// it needs, and is called once for each set of keys. Keys that are not fresh are fetched again; they are used while that
/// runs or fails, for [`KEY_SET_STALE_MS`] at most. A key that they lack may be new, so they are fetched again.
///
/// # Errors
/// [`ErrorKind::InvalidToken`] if the issuer has no such key, [`ErrorKind::IssuerUnavailable`] if that is unknown
/// because it cannot be asked, or the store's.
pub async fn find<I: Issuer, T>(
    store: &impl KeySets,
    issuer: &I,
    platform: &impl Platform,
    known: &KnownKeys<I::Keys>,
    choose: impl Fn(&I::Keys) -> Option<T>,
) -> Result<T, Error> {
    let began = platform.now();
    let (mut asked, mut found) = (None, None);
    loop {
        let now = platform.now();
        let fresh = known.younger_than(KEY_SET_FRESH_MS, now);
        let is_fresh = fresh.is_some();
        let usable = fresh.or_else(|| known.younger_than(KEY_SET_STALE_MS, now));
        let has_keys = usable.is_some();
        let set = usable.as_ref().map(|_| known.fetched_at.get());
        if set != asked {
            asked = set;
            found = usable.and_then(|keys| choose(&keys));
        }
        let may_fetch = !known.is_asking.get() && !known.is_paused(now);
        if (is_fresh || !may_fetch)
            && let Some(found) = found.take()
        {
            return Ok(found);
        }
        let is_settled = known.state.get() != FetchState::Running && known.is_paused(now);
        let was_fetched_for_this = is_fresh && known.fetched_at.get() > began;
        if was_fetched_for_this || is_settled && !known.is_asking.get() {
            return Err(missing(has_keys && known.state.get() == FetchState::Done));
        }
        if now.millis_since(began) >= KEY_SET_WAIT_MAX_MS {
            return Err(missing(false));
        }
        if known.is_asking.get() || !ask(store, issuer, platform, known, !is_fresh).await? {
            platform.sleep(KEY_SET_POLL_MS).await;
        }
    }
}

fn missing(is_known: bool) -> Error {
    if is_known {
        let reason = "The key of the token is not among those of its issuer.";
        Error::with_source(ErrorKind::InvalidToken { reason }, "no key of the issuer has signed the token")
    } else {
        Error::with_source(ErrorKind::IssuerUnavailable, "the issuer's keys cannot be fetched")
    }
}

/// Looks at the store and fetches the keys if they are due. `false` if another instance fetches them.
async fn ask<I: Issuer>(
    store: &impl KeySets,
    issuer: &I,
    platform: &impl Platform,
    known: &KnownKeys<I::Keys>,
    is_due: bool,
) -> Result<bool, Error> {
    known.is_asking.set(true);
    let _asking = Asking(&known.is_asking);
    let before = known.fetched_at.get();
    if let Some(record) = store.key_set(issuer.url()).await? {
        known.adopt(issuer, record);
    }
    let now = platform.now();
    // Another instance may have fetched them since.
    if known.is_paused(now) || known.fetched_at.get() != before {
        return Ok(known.state.get() != FetchState::Running);
    }
    let lease = now.plus_millis(KEY_SET_PAUSE_MS);
    if !store.claim_fetch(issuer.url(), now, lease).await? {
        return Ok(false);
    }
    let fetched = issuer.fetch().await.and_then(|document| Ok((issuer.parse(&document)?, document)));
    let now = platform.now();
    let pause_ends = now.plus_millis(KEY_SET_PAUSE_MS);
    let (document, next_fetch_at) = match fetched {
        Ok((keys, document)) => {
            known.set(keys, now);
            known.state.set(FetchState::Done);
            // No pause after a fetch that was due anyway: the issuer may publish a new key right after it.
            (Some(document), if is_due { now } else { pause_ends })
        }
        Err(cause) => {
            issuer.failed(&cause);
            known.state.set(FetchState::Failed);
            (None, pause_ends)
        }
    };
    known.next_fetch_at.set(next_fetch_at);
    let fetched = document.as_deref().map(|document| (document, now));
    // If that fails, the lease ends by itself.
    let _ = store.end_fetch(issuer.url(), lease, fetched, next_fetch_at).await;
    Ok(true)
}
