//! Checksums of bytes in memory.

use md5::{Digest as _, Md5};
use moc_domain::checksum::Checksums;
use sha2::Sha256;

#[must_use]
pub fn md5(bytes: &[u8]) -> [u8; 16] {
    Md5::digest(bytes).into()
}

#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The checksums of `bytes` that are wanted.
#[must_use]
pub fn checksums(bytes: &[u8], wants_md5: bool, wants_sha256: bool) -> Checksums {
    Checksums { md5: wants_md5.then(|| md5(bytes)), sha256: wants_sha256.then(|| sha256(bytes)) }
}
