//! The bytes that are uploaded: pseudorandom, every part different, little memory.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};

pub const PART_BYTES: usize = 8 << 20;
/// As many parts have different bytes; then they repeat.
const DISTINCT: usize = 64;
/// How far one part's bytes start from the next one's.
const STEP: usize = 4096;

/// The content of files of any number of whole parts, with the MD5 of every part.
pub struct Content {
    bytes: Bytes,
    digests: Vec<[u8; 16]>,
}

impl Content {
    /// Makes it; takes a second or so, for the digests.
    pub fn new() -> Self {
        let mut state = 0_u64;
        let mut bytes = Vec::with_capacity(PART_BYTES + DISTINCT * STEP);
        while bytes.len() < PART_BYTES + DISTINCT * STEP {
            bytes.extend_from_slice(&split_mix(&mut state).to_le_bytes());
        }
        let bytes = Bytes::from(bytes);
        let digests = (0..DISTINCT).map(|index| Md5::digest(bytes.slice(range(index))).into()).collect();
        Self { bytes, digests }
    }

    /// The bytes of part `number`, counted from 1.
    pub fn part(&self, number: usize) -> Bytes {
        self.bytes.slice(range(number.saturating_sub(1) % DISTINCT))
    }

    /// The ETag of part `number`: its MD5 in hex.
    pub fn part_etag(&self, number: usize) -> String {
        hex::encode(self.digest(number))
    }

    /// `Content-MD5` of part `number`.
    pub fn content_md5(&self, number: usize) -> String {
        STANDARD.encode(self.digest(number))
    }

    /// The ETag of the object that `parts` parts make: the MD5 of their MD5s, and their number.
    pub fn object_etag(&self, parts: usize) -> String {
        let digests: Vec<u8> = (1..=parts).flat_map(|number| self.digest(number)).collect();
        format!("{}-{parts}", hex::encode(Md5::digest(digests)))
    }

    /// Whether an object has `chunk` at `offset`.
    pub fn has(&self, mut offset: usize, mut chunk: &[u8]) -> bool {
        while !chunk.is_empty() {
            let part = self.part(offset / PART_BYTES + 1);
            let rest = part.get(offset % PART_BYTES..).unwrap_or_default();
            let length = rest.len().min(chunk.len());
            let (here, after) = chunk.split_at(length);
            if rest.get(..length) != Some(here) {
                return false;
            }
            offset += length;
            chunk = after;
        }
        true
    }

    fn digest(&self, number: usize) -> [u8; 16] {
        self.digests.get(number.saturating_sub(1) % DISTINCT).copied().unwrap_or_default()
    }
}

fn range(index: usize) -> Range<usize> {
    index * STEP..index * STEP + PART_BYTES
}

/// [SplitMix64](https://doi.org/10.1145/2714064.2660195).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_its_parts_in_order() {
        let content = Content::new();
        assert_ne!(content.part(1), content.part(2));
        let mut seam = content.part(1).slice(PART_BYTES - 3..).to_vec();
        seam.extend_from_slice(&content.part(2)[..3]);
        assert!(content.has(PART_BYTES - 3, &seam));
        assert!(!content.has(PART_BYTES - 2, &seam));
        assert_eq!(content.part_etag(1), hex::encode(Md5::digest(content.part(1))));
    }
}
