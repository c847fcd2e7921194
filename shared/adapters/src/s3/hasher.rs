//! Checksums of bytes that stream by.

use md5::{Digest as _, Md5};
use moc_domain::checksum::Checksums;
use sha2::Sha256;

/// Computes those checksums that are wanted.
pub struct Hasher {
    md5: Option<Md5>,
    sha256: Option<Sha256>,
}

impl Hasher {
    /// A hasher of these.
    pub fn new(md5: bool, sha256: bool) -> Self {
        Self { md5: md5.then(Md5::new), sha256: sha256.then(Sha256::new) }
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(md5) = &mut self.md5 {
            md5.update(bytes);
        }
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    /// What the bytes have.
    pub fn finish(self) -> Checksums {
        Checksums {
            md5: self.md5.map(|md5| md5.finalize().into()),
            sha256: self.sha256.map(|sha256| sha256.finalize().into()),
        }
    }
}
