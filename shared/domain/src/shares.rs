//! How the memory for the parts of batches is shared among requests that are served at once.
//!
//! A part may have a little at once, and needs room for all of itself to have more. Who came first is first, but room
//! is taken from a part that hardly uses it while others wait: it keeps the bytes that it has, and waits again when it
//! brings more. So nobody waits for a client that has stopped sending, and somebody always gets on.

use std::collections::VecDeque;

use crate::limits::{BATCH_MAX_BYTES, INSTANCE_MEMORY_MIN_MIB, KIB, MIB};

/// What a part may have without room for all of it.
const AT_ONCE_BYTES: u64 = 256 * KIB;
/// Room for all parts.
const ROOM_BYTES: u64 = 32 * MIB;
/// Room while no part that arrives has any: some may be taken by parts whose clients have stopped.
const ROOM_MAX_BYTES: u64 = ROOM_BYTES + BATCH_MAX_BYTES;
/// A part keeps its room as long as it brings [`PACE_BYTES`] in this time, 64 KiB/s.
const PACE_MS: u64 = 2_000;
const PACE_BYTES: u64 = PACE_MS * 64 * KIB / 1_000;

/// What an instance needs next to the parts of its requests.
const BESIDE_BYTES: u64 = 32 * MIB;

// It fits into the smallest instance, with 16 requests that each have a part at once.
const _: () = assert!(ROOM_MAX_BYTES + 16 * AT_ONCE_BYTES + BESIDE_BYTES <= INSTANCE_MEMORY_MIN_MIB * MIB);

/// Names a part among [`Shares`].
pub type ShareId = u64;

#[derive(Debug)]
struct Share {
    id: ShareId,
    expected_bytes: u64,
    taken_bytes: u64,
    /// What it may take: all of it, or what it has.
    reserved_bytes: u64,
    /// When it last had brought [`PACE_BYTES`] more, in milliseconds of a monotonic clock, and what it had then.
    measured_since: (u64, u64),
}

impl Share {
    const fn is_arriving(&self) -> bool {
        self.taken_bytes < self.reserved_bytes
    }
}

/// The parts in memory, and those that wait for room.
#[derive(Debug)]
pub struct Shares {
    shares: Vec<Share>,
    waiting: VecDeque<ShareId>,
    next_id: ShareId,
}

impl Shares {
    /// Those of an instance that has none yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { shares: Vec::new(), waiting: VecDeque::new(), next_id: 0 }
    }

    /// Adds a part that will have so many bytes.
    pub fn add(&mut self, expected_bytes: u64) -> ShareId {
        let id = self.next_id;
        self.next_id += 1;
        let share = Share { id, expected_bytes, taken_bytes: 0, reserved_bytes: 0, measured_since: (0, 0) };
        self.shares.push(share);
        id
    }

    /// Takes memory for bytes that have arrived. `false` if there is no room: the part is in the queue then, until
    /// this is called again with success, or [`Shares::remove`] is. `now_ms` is the time of a monotonic clock.
    pub fn take(&mut self, id: ShareId, bytes: u64, now_ms: u64) -> bool {
        let Some(share) = self.shares.iter_mut().find(|share| share.id == id) else { return false };
        let taken_bytes = share.taken_bytes.saturating_add(bytes);
        if taken_bytes > share.reserved_bytes.max(AT_ONCE_BYTES) && !self.admit(id, now_ms) {
            return false;
        }
        if let Some(share) = self.shares.iter_mut().find(|share| share.id == id) {
            share.taken_bytes = taken_bytes;
            share.reserved_bytes = share.reserved_bytes.max(taken_bytes);
            if taken_bytes.saturating_sub(share.measured_since.1) >= PACE_BYTES {
                share.measured_since = (now_ms, taken_bytes);
            }
        }
        true
    }

    /// Reserves room for all of a part, if it is the first that waits.
    fn admit(&mut self, id: ShareId, now_ms: u64) -> bool {
        if !self.waiting.contains(&id) {
            self.waiting.push_back(id);
        }
        if self.waiting.front() != Some(&id) {
            return false;
        }
        let (mut reserved_bytes, mut is_alone) = (0_u64, true);
        for share in self.shares.iter_mut().filter(|share| share.id != id) {
            let is_slow = now_ms.saturating_sub(share.measured_since.0) >= PACE_MS;
            if share.is_arriving() && is_slow {
                share.reserved_bytes = share.taken_bytes;
            }
            is_alone &= !share.is_arriving();
            reserved_bytes = reserved_bytes.saturating_add(share.reserved_bytes);
        }
        let Some(share) = self.shares.iter_mut().find(|share| share.id == id) else { return false };
        let all_bytes = reserved_bytes.saturating_add(share.expected_bytes);
        let fits = all_bytes <= ROOM_BYTES || (is_alone && all_bytes <= ROOM_MAX_BYTES);
        if fits {
            share.reserved_bytes = share.expected_bytes;
            share.measured_since = (now_ms, share.taken_bytes);
            self.waiting.pop_front();
        }
        fits
    }

    /// Removes a part, whose memory is free again.
    pub fn remove(&mut self, id: ShareId) {
        self.shares.retain(|share| share.id != id);
        self.waiting.retain(|waiting| *waiting != id);
    }
}

impl Default for Shares {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: u64 = 64 * KIB;

    fn taken(shares: &Shares) -> u64 {
        shares.shares.iter().map(|share| share.taken_bytes).sum()
    }

    /// Lets all parts arrive a piece at a time, each until it gets no room, and removes those that are whole.
    fn round(shares: &mut Shares, parts: &mut Vec<(ShareId, u64)>, now_ms: u64) {
        parts.retain_mut(|(id, left)| {
            if *left > 0 && shares.take(*id, PIECE.min(*left), now_ms) {
                *left -= PIECE.min(*left);
            }
            if *left == 0 {
                shares.remove(*id);
            }
            *left > 0
        });
    }

    #[test]
    fn all_parts_arrive_whatever_their_sizes() {
        for size in [MIB, 5 * MIB, 12 * MIB, 50 * MIB] {
            let mut shares = Shares::new();
            let mut parts: Vec<_> = (0..16).map(|_| (shares.add(size), size)).collect();
            let mut most = 0;
            for now_ms in 0..200_000 {
                round(&mut shares, &mut parts, now_ms);
                most = most.max(taken(&shares));
            }
            assert!(parts.is_empty(), "{parts:?}");
            assert!(most <= ROOM_BYTES.max(size) + 16 * AT_ONCE_BYTES, "{most}");
        }
    }

    #[test]
    fn clients_that_send_nothing_hold_nothing() {
        let mut shares = Shares::new();
        let _silent: Vec<_> = (0..14).map(|_| shares.add(50 * MIB)).collect();
        let mut parts = vec![(shares.add(50 * MIB), 50 * MIB)];
        for now_ms in 0..800 {
            round(&mut shares, &mut parts, now_ms);
        }
        assert!(parts.is_empty(), "{parts:?}");
    }

    #[test]
    fn clients_that_stop_after_a_while_hold_nobody_up() {
        let mut shares = Shares::new();
        for _ in 0..6 {
            let stalled = shares.add(5 * MIB);
            assert!(shares.take(stalled, MIB, 0));
        }
        let mut parts: Vec<_> = (0..4).map(|_| (shares.add(20 * MIB), 20 * MIB)).collect();
        for now_ms in 0..(PACE_MS + 2_000) {
            round(&mut shares, &mut parts, now_ms);
        }
        assert!(parts.is_empty(), "{parts:?}");
    }

    #[test]
    fn a_part_that_lost_its_room_gets_it_again() {
        let mut shares = Shares::new();
        let slow = shares.add(30 * MIB);
        assert!(shares.take(slow, MIB, 0));
        let fast = shares.add(30 * MIB);
        assert!(!shares.take(fast, MIB, PACE_MS - 1));
        assert!(shares.take(fast, MIB, PACE_MS));
        assert!(!shares.take(slow, MIB, PACE_MS));
        shares.remove(fast);
        assert!(shares.take(slow, MIB, PACE_MS));
    }

    #[test]
    fn what_stopped_parts_hold_is_bounded() {
        let mut shares = Shares::new();
        let mut now_ms = 0;
        for _ in 0..100 {
            let id = shares.add(50 * MIB);
            for _ in 0..49 {
                now_ms += 1;
                if !shares.take(id, MIB, now_ms) {
                    break;
                }
            }
            now_ms += PACE_MS;
        }
        assert!(taken(&shares) <= ROOM_MAX_BYTES + 100 * AT_ONCE_BYTES, "{}", taken(&shares));
    }
}
