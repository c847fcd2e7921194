//! Checksums of bytes, announced and computed.

/// The checksums that are known of some bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// MD5 (RFC 1321).
    pub md5: Option<[u8; 16]>,
    /// SHA-256 (FIPS 180-4).
    pub sha256: Option<[u8; 32]>,
}

/// Bytes whose checksum is not the announced one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `md5` or `sha-256`.
    pub algorithm: &'static str,
    /// What the client announced, in hex.
    pub expected: String,
    /// What arrived, in hex.
    pub actual: String,
}

impl Checksums {
    /// The names of their algorithms, as [`Mismatch`] has them.
    pub const ALGORITHMS: [&'static str; 2] = ["md5", "sha-256"];

    /// Whether none is known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.md5.is_none() && self.sha256.is_none()
    }

    /// The first of these that differs from what the bytes have. What is known of one side alone is
    /// not compared.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check(&self, actual: &Self) -> Result<(), Mismatch> {
        same("md5", self.md5, actual.md5)?;
        same("sha-256", self.sha256, actual.sha256)
    }

    /// Those of these that are not known of the bytes.
    #[must_use]
    pub fn unknown_in(&self, actual: &Self) -> Self {
        Self { md5: self.md5.filter(|_| actual.md5.is_none()), sha256: self.sha256.filter(|_| actual.sha256.is_none()) }
    }
}

fn same<const N: usize>(
    algorithm: &'static str,
    expected: Option<[u8; N]>,
    actual: Option<[u8; N]>,
) -> Result<(), Mismatch> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => {
            Err(Mismatch { algorithm, expected: hex::encode(expected), actual: hex::encode(actual) })
        }
        _ => Ok(()),
    }
}

/// Reads a checksum of `N` bytes in hex, in either case.
#[must_use]
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_sides_know_is_compared() {
        let expected = Checksums { md5: Some([1; 16]), sha256: Some([2; 32]) };
        assert_eq!(expected.check(&Checksums::default()), Ok(()));
        assert_eq!(expected.check(&expected), Ok(()));
        let other = Checksums { sha256: Some([3; 32]), ..expected };
        let mismatch = Mismatch { algorithm: "sha-256", expected: "02".repeat(32), actual: "03".repeat(32) };
        assert_eq!(expected.check(&other), Err(mismatch));
        let md5_only = Checksums { sha256: None, ..expected };
        assert_eq!(expected.unknown_in(&md5_only), Checksums { md5: None, ..expected });
        assert!(expected.unknown_in(&expected).is_empty());
    }

    #[test]
    fn hex_is_read_in_either_case_and_length_alone() {
        assert_eq!(from_hex::<2>("aB0f"), Some([0xab, 0x0f]));
        for bad in ["", "ab", "ab0f0", "ab0f00", "ab0g", " ab0", "é0f"] {
            assert_eq!(from_hex::<2>(bad), None, "{bad}");
        }
    }
}
