//! Files that are meant to do harm cost little time and memory, and never the program.

#[path = "../../../../tests/pictures/hostile.rs"]
pub mod files;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::{Duration, Instant};

use moc_domain::limits::THUMBNAIL_MEMORY_MAX_BYTES;
use moc_thumbnail::DecodeError;

use self::files::Outcome;
use crate::{picture, thumbnail};

/// The longest that one may take: a second on a machine that has nothing else to do.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 4 });
/// What a thumbnail takes next to the decoded picture: rows, tables, the reduced picture, its file;
/// and a copy of what is decompressed or put into another container.
const BESIDE_BYTES: usize = 32 << 20;

/// Counts what each thread holds.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD_BYTES: Cell<isize> = const { Cell::new(0) };
    static PEAK_BYTES: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    // Threads that end have no counters any more.
    let held = HELD_BYTES.try_with(|held| {
        held.set(held.get() + bytes);
        held.get()
    });
    let _ = PEAK_BYTES.try_with(|peak| peak.set(peak.get().max(held.unwrap_or(0))));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What `work` gives, and the most memory that it held.
pub fn peak_of<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD_BYTES.get();
    PEAK_BYTES.set(before);
    let result = work();
    (result, (PEAK_BYTES.get() - before) as usize)
}

#[test]
fn each_is_rejected_or_shown_soon_and_in_little_memory() {
    let files = files::all();
    assert!(files.len() > 80, "there are {} files", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let started = Instant::now();
        let (result, peak_bytes) = peak_of(|| thumbnail(&file.bytes));
        let took = started.elapsed();
        let said = result.as_ref().err().map(ToString::to_string);
        println!("{:>5} ms {:>4} MiB  {}: {said:?}", took.as_millis(), peak_bytes >> 20, file.name);
        let expected = match file.outcome {
            Outcome::Rejected => result.is_err(),
            Outcome::Picture => result.is_ok(),
            Outcome::Either => true,
        };
        let one_line = said.is_none_or(|said| !said.is_empty() && !said.contains('\n') && said.len() < 300);
        let bounded = took < TIME_MAX && peak_bytes < THUMBNAIL_MEMORY_MAX_BYTES as usize + BESIDE_BYTES;
        if !expected || !one_line || !bounded {
            wrong.push(file.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn memory_is_counted() {
    let (_, peak_bytes) = peak_of(|| drop(std::hint::black_box(vec![1_u8; 1 << 20])));
    assert_eq!(peak_bytes, 1 << 20);
}

#[test]
fn what_takes_more_memory_than_there_is_is_rejected_before_it_takes_any() {
    for name in ["animated.gif", "fading.webp", "interlaced.png", "lossless.webp", "lossy.webp", "progressive.jpg"] {
        let (result, peak_bytes) = peak_of(|| moc_thumbnail::thumbnail(&picture(name), 1_024));
        let error = result.expect_err(name);
        assert!(matches!(error, DecodeError::Memory { needed_bytes: 1_025.., max_bytes: 1_024 }), "{name}: {error}");
        assert!(peak_bytes < 4 << 20, "{name}: {peak_bytes}");
    }
}
