//! The memory that one instance gives to bodies. An instance serves several requests at once, and its memory never
//! shrinks: it keeps the most that it has used.
//!
//! Room is taken as bytes arrive, so a client that sends nothing holds none. Who gets no room for some time is rejected
//! and leaves its own to the others.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use moc_application::port::Platform as _;
use moc_domain::error::ErrorKind;
use moc_domain::limits::{KIB, MIB};
use moc_domain::shares::{ShareId, Shares};

use crate::platform::WasiPlatform;

/// For bodies that are read whole, unless a single one may have more.
const WHOLE_BYTES: u64 = 4 * MIB;
/// Bytes of a body that need no room: hardly any JSON has more.
const FREE_BYTES: usize = 64 * KIB as usize;
/// Bytes of a part for which memory is allocated before they are there.
const FIRST_BYTES: usize = 256 * KIB as usize;
/// Wait after which the higher limit holds.
const WAIT: Duration = Duration::from_secs(1);
/// Longest wait for room.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Pause between two looks at whether there is room: tasks of different requests cannot wake each other.
const POLL_MS: u64 = 5;

thread_local! {
    static SHARES: RefCell<Shares> = const { RefCell::new(Shares::new()) };
    static STARTED: Instant = Instant::now();
    /// Bytes of bodies that are read whole.
    static TAKEN_BYTES: Cell<u64> = const { Cell::new(0) };
}

/// How many bytes of bodies that are read whole may be in memory at once.
#[derive(Clone, Copy)]
struct Limits {
    at_once_bytes: u64,
    /// For who has waited.
    after_wait_bytes: u64,
}

/// Room for bytes that are in memory; free again when dropped.
struct Room {
    limits: Limits,
    bytes: u64,
}

impl Room {
    /// Takes room for more bytes, or waits for it.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if there is none in time.
    async fn grow(&mut self, bytes: usize) -> Result<(), ErrorKind> {
        let began = Instant::now();
        let bytes = bytes as u64;
        loop {
            let waited = began.elapsed();
            let Limits { at_once_bytes, after_wait_bytes } = self.limits;
            let limit = if waited < WAIT { at_once_bytes } else { after_wait_bytes };
            let taken_bytes = TAKEN_BYTES.get().saturating_add(bytes);
            if taken_bytes <= limit {
                TAKEN_BYTES.set(taken_bytes);
                self.bytes += bytes;
                return Ok(());
            }
            if waited >= WAIT_MAX {
                return Err(ErrorKind::Busy);
            }
            WasiPlatform.sleep(POLL_MS).await;
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TAKEN_BYTES.set(TAKEN_BYTES.get().saturating_sub(self.bytes));
    }
}

/// The bytes of a part, and their room ([`Shares`]).
pub struct PartMemory {
    bytes: Vec<u8>,
    expected_bytes: usize,
    share: ShareId,
}

impl PartMemory {
    /// Of a part that must have so many bytes.
    pub fn new(expected_bytes: usize) -> Self {
        let share = SHARES.with_borrow_mut(|shares| shares.add(expected_bytes as u64));
        Self { bytes: Vec::with_capacity(expected_bytes.min(FIRST_BYTES)), expected_bytes, share }
    }

    /// Adds bytes; `false` if the part has more than it must have.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if there is no room for them in time.
    pub async fn extend(&mut self, bytes: &[u8]) -> Result<bool, ErrorKind> {
        let missing_bytes = self.expected_bytes - self.bytes.len();
        if bytes.len() > missing_bytes {
            return Ok(false);
        }
        let began = Instant::now();
        while !self.takes(bytes.len()) {
            if began.elapsed() >= WAIT_MAX {
                return Err(ErrorKind::Busy);
            }
            WasiPlatform.sleep(POLL_MS).await;
        }
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.bytes.reserve_exact(missing_bytes);
        }
        self.bytes.extend_from_slice(bytes);
        Ok(true)
    }

    fn takes(&self, bytes: usize) -> bool {
        let now_ms = STARTED.with(|started| u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        SHARES.with_borrow_mut(|shares| shares.take(self.share, bytes as u64, now_ms))
    }
}

impl Drop for PartMemory {
    fn drop(&mut self) {
        SHARES.with_borrow_mut(|shares| shares.remove(self.share));
    }
}

impl AsRef<[u8]> for PartMemory {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The bytes of a body that is read whole, and their room.
pub struct WholeBody {
    bytes: Vec<u8>,
    expected_bytes: usize,
    room: Room,
}

impl WholeBody {
    /// Of a body that may have `limit_bytes`, and announces `expected_bytes` or 0.
    pub fn new(limit_bytes: u64, expected_bytes: usize) -> Self {
        let at_once_bytes = WHOLE_BYTES.max(limit_bytes);
        let limits = Limits { at_once_bytes, after_wait_bytes: 2 * at_once_bytes };
        Self { bytes: Vec::new(), expected_bytes, room: Room { limits, bytes: 0 } }
    }

    pub const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] if there is no room for them in time.
    pub async fn extend(&mut self, bytes: &[u8]) -> Result<(), ErrorKind> {
        if self.bytes.len() + bytes.len() > FREE_BYTES {
            self.room.grow(bytes.len()).await?;
            if self.bytes.capacity() < self.expected_bytes {
                self.bytes.reserve_exact(self.expected_bytes.saturating_sub(self.bytes.len()));
            }
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl AsRef<[u8]> for WholeBody {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl AsMut<[u8]> for WholeBody {
    fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}
