//! Files to upload, and their checksums.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use sha2::Sha256;

/// One mebibyte, in bytes.
pub const MIB: usize = 1024 * 1024;
/// The part size of a stack that is not configured otherwise, in bytes.
pub const PART_BYTES: usize = 5 * MIB;

/// So many bytes that look random and are the same every time.
pub fn noise(bytes: usize, seed: u64) -> Vec<u8> {
    // xorshift64 (Marsaglia, 2003); its state must not be zero.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}

/// A file of so many bytes that starts as this kind does and goes on with noise.
pub fn starting(start: &[u8], bytes: usize) -> Vec<u8> {
    let mut file = noise(bytes, bytes as u64);
    file.splice(..start.len(), start.iter().copied());
    file
}

/// A PDF of so many bytes, by its first bytes.
pub fn pdf(bytes: usize) -> Vec<u8> {
    starting(b"%PDF-1.7\n", bytes)
}

/// The MD5 in hex: S3's ETag of a single part.
pub fn md5_hex(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// The SHA-256 in hex.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// The MD5 as `Content-MD5` has it (RFC 1864).
pub fn content_md5(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(Md5::digest(bytes))
}

/// The MD5 as `Content-Digest` has it (RFC 9530).
pub fn md5_digest(bytes: &[u8]) -> String {
    format!("md5=:{}:", content_md5(bytes))
}

/// The SHA-256 as `Content-Digest` has it (RFC 9530).
pub fn sha256_digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", BASE64_STANDARD.encode(Sha256::digest(bytes)))
}

/// The ETag that S3 gives an object of these parts: the MD5 of the parts' MD5s, and their number.
pub fn multipart_etag<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut whole = Md5::new();
    let mut count = 0;
    for part in parts {
        whole.update(Md5::digest(part));
        count += 1;
    }
    format!("\"{}-{count}\"", hex::encode(whole.finalize()))
}
