//! Why a file was rejected, as the store keeps it.

use crate::checksum::{Checksums, Mismatch};
use crate::error::FileFault;
use crate::format::Format;

/// Why a finalize has rejected a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is missing, or not what it was declared to be.
    Fault(FileFault),
    /// Its first bytes are of this format, and not of the declared one.
    Foreign(Format),
    /// Its bytes have another checksum than was announced.
    Differs(Mismatch),
}

impl Rejection {
    /// The text in the store: a fault's name, with what was found; or algorithm, expected and actual checksum.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Fault(fault) => fault.as_str().to_owned(),
            Self::Foreign(format) => [FileFault::ContentMismatch.as_str(), format.as_str()].join(" "),
            Self::Differs(Mismatch { algorithm, expected, actual }) => [algorithm, &**expected, actual].join(" "),
        }
    }

    /// Reads the text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (name, second, third) = (words.next()?, words.next(), words.next());
        let (expected, actual) = match (second, third) {
            (Some(expected), Some(actual)) => (expected, actual),
            (Some(format), None) if name == FileFault::ContentMismatch.as_str() => {
                return Format::parse(format).map(Self::Foreign);
            }
            _ => return FileFault::parse(text).map(Self::Fault),
        };
        let algorithm = Checksums::ALGORITHMS.into_iter().find(|algorithm| *algorithm == name)?;
        Some(Self::Differs(Mismatch { algorithm, expected: expected.to_owned(), actual: actual.to_owned() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_survives_its_text() {
        let differs = |algorithm| Mismatch { algorithm, expected: "00ff".into(), actual: "ff00".into() };
        for rejection in [
            Rejection::Fault(FileFault::ObjectMissing),
            Rejection::Fault(FileFault::SizeMismatch),
            Rejection::Fault(FileFault::ContentMismatch),
            Rejection::Foreign(Format::Heif),
            Rejection::Foreign(Format::SevenZip),
            Rejection::Differs(differs("md5")),
            Rejection::Differs(differs("sha-256")),
        ] {
            assert_eq!(Rejection::parse(&rejection.to_text()), Some(rejection));
        }
        for unknown in ["", "other", "crc32 00 ff", "md5 00", "content-mismatch other", "size-mismatch heif"] {
            assert_eq!(Rejection::parse(unknown), None, "{unknown}");
        }
    }
}
