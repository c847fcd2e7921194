//! Photographs with bytes changed, cut, doubled and left out: whatever comes of them, it comes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use moc_domain::limits::THUMBNAIL_MEMORY_MAX_BYTES;

use crate::hostile::peak_of;
use crate::thumbnail;
use crate::{folder, picture};

/// Variants of each picture, unless the environment has `THUMBNAIL_MUTATIONS`.
const VARIANTS: u64 = 150;
/// The longest that one may take.
const TIME_MAX: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 4 });
/// What is held next to a decoded picture.
const BESIDE_BYTES: usize = 32 << 20;

/// Pseudorandom numbers (Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A place in a file, every other time in its first bytes, where the headers are.
    fn place(&mut self, length: usize) -> usize {
        if self.below(2) == 0 { self.below(length.min(700)) } else { self.below(length) }
    }
}

/// Numbers of the variants of a file of this length, each with what it is made by. The environment's
/// `THUMBNAIL_MUTATIONS` says how many instead of `count`, and `THUMBNAIL_SEED` which.
pub fn variants(count: u64, length: usize) -> impl Iterator<Item = (u64, Random)> {
    let count = std::env::var("THUMBNAIL_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(count);
    let seed = std::env::var("THUMBNAIL_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(0_u64);
    (0..count).map(move |variant| {
        let state = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(variant);
        (variant, Random(state ^ (length as u64) << 32))
    })
}

fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if file.is_empty() {
            return;
        }
        let place = random.place(file.len());
        let end = (place + 1 + random.below(16)).min(file.len());
        match random.below(8) {
            0 => file[place] = random.next() as u8,
            1 => file[place] ^= 1 << random.below(8),
            2 => file[place] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            3 => file[place..end].fill_with(|| random.next() as u8),
            4 => drop(file.drain(place..end)),
            5 => {
                let piece = file[place..end].to_vec();
                let at = random.place(file.len());
                file.splice(at..at, piece);
            }
            6 => file[place..end].fill(0xff),
            _ if random.below(4) == 0 => file.truncate(place),
            _ => file[place] = file[place].wrapping_add(1),
        }
    }
}

#[test]
fn no_variant_of_a_picture_does_harm() {
    let names = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let formats = [".jpg", ".png", ".webp", ".gif"];
    let mut names: Vec<String> = names.filter(|name| formats.iter().any(|format| name.ends_with(format))).collect();
    names.sort();
    assert!(names.len() > 10, "{names:?}");
    let (mut pictures, mut rejected, mut wrong) = (0, 0, Vec::new());
    for name in &names {
        let original = picture(name);
        for (variant, mut random) in variants(VARIANTS, original.len()) {
            let mut file = original.clone();
            mutate(&mut file, &mut random);
            let started = Instant::now();
            let (result, peak_bytes) = peak_of(|| catch_unwind(AssertUnwindSafe(|| thumbnail(&file))));
            let slow = started.elapsed() > TIME_MAX;
            let large = peak_bytes > THUMBNAIL_MEMORY_MAX_BYTES as usize + BESIDE_BYTES;
            match result {
                Ok(Ok(_)) => pictures += 1,
                Ok(Err(_)) => rejected += 1,
                Err(_) => wrong.push(format!("{name}, variant {variant}: a panic")),
            }
            if slow || large {
                wrong.push(format!("{name}, variant {variant}: {:?}, {} MiB", started.elapsed(), peak_bytes >> 20));
            }
        }
    }
    println!("{pictures} pictures, {rejected} rejected");
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Both come often: otherwise this would be no test.
    assert!(pictures > 10 * names.len() && rejected > 10 * names.len(), "{pictures} pictures, {rejected} rejected");
}
