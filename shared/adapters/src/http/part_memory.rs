//! The memory that one instance gives to the parts of batches. An instance serves several requests at once, and
//! its memory never shrinks: it keeps the most that it has used.
//!
//! A part gets room for all of its bytes at once, and holds it until the bucket has them. Who holds room never waits
//! for more of it to let go of that, so somebody always gets on.

use std::cell::RefCell;
use std::collections::VecDeque;

use moc_application::port::Platform as _;
use moc_domain::limits::MIB;

use crate::platform::WasiPlatform;

/// Bytes of all parts that are in memory at once; a part that is alone there may have more.
const INSTANCE_MAX_BYTES: u64 = 32 * MIB;
/// Pause between two looks at whether there is room: tasks of different requests cannot wake each other.
const POLL_MS: u64 = 5;

thread_local! {
    static MEMORY: RefCell<Memory> = const {
        RefCell::new(Memory { taken_bytes: 0, next_ticket: 0, waiting: VecDeque::new() })
    };
}

struct Memory {
    taken_bytes: u64,
    next_ticket: u64,
    /// Who came first is first.
    waiting: VecDeque<u64>,
}

/// The bytes of a part, and their room.
pub struct PartMemory {
    bytes: Vec<u8>,
    room_bytes: u64,
}

/// A place in the queue; left when dropped.
struct Ticket(u64);

impl PartMemory {
    /// Waits for room for so many bytes.
    pub async fn with_room(bytes: usize) -> Self {
        let room_bytes = bytes as u64;
        let ticket = Ticket::draw();
        while !ticket.take(room_bytes) {
            WasiPlatform.sleep(POLL_MS).await;
        }
        // Memory that is not written to costs nothing yet.
        Self { bytes: Vec::with_capacity(bytes), room_bytes }
    }

    /// Adds bytes, as long as there is room; `false` if there is none for them.
    pub fn extend(&mut self, bytes: &[u8]) -> bool {
        let fits = bytes.len() <= self.bytes.capacity().saturating_sub(self.bytes.len());
        if fits {
            self.bytes.extend_from_slice(bytes);
        }
        fits
    }
}

impl AsRef<[u8]> for PartMemory {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for PartMemory {
    fn drop(&mut self) {
        MEMORY.with_borrow_mut(|memory| memory.taken_bytes = memory.taken_bytes.saturating_sub(self.room_bytes));
    }
}

impl Ticket {
    fn draw() -> Self {
        MEMORY.with_borrow_mut(|memory| {
            let ticket = memory.next_ticket;
            memory.next_ticket += 1;
            memory.waiting.push_back(ticket);
            Self(ticket)
        })
    }

    /// Takes room, where this is the first in the queue and there is enough.
    fn take(&self, bytes: u64) -> bool {
        MEMORY.with_borrow_mut(|memory| {
            let taken_bytes = memory.taken_bytes.saturating_add(bytes);
            let fits = memory.taken_bytes == 0 || taken_bytes <= INSTANCE_MAX_BYTES;
            let takes = fits && memory.waiting.front() == Some(&self.0);
            if takes {
                memory.taken_bytes = taken_bytes;
            }
            takes
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        MEMORY.with_borrow_mut(|memory| memory.waiting.retain(|ticket| *ticket != self.0));
    }
}
