//! Why no thumbnail can be made.

use std::fmt;

use moc_domain::limits::{THUMBNAIL_PIXELS_MAX, THUMBNAIL_SOURCE_SIDE_MAX_PIXELS};

/// Why no thumbnail can be made of a file. `Display` gives one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Neither JPEG, PNG, WebP nor GIF.
    NotAPicture,
    /// A width or height of zero, or more pixels than are decoded.
    Size {
        /// In pixels, as the header says.
        width: u64,
        /// In pixels, as the header says.
        height: u64,
    },
    /// Decoding it takes more memory than is allowed.
    Memory {
        /// What it would take, in bytes.
        needed_bytes: u64,
        /// What is allowed, in bytes.
        max_bytes: u64,
    },
    /// The format allows it, this decoder does not.
    Unsupported(&'static str),
    /// The file ends before the picture does.
    Truncated,
    /// What is there is no such picture.
    Broken(String),
}

impl DecodeError {
    /// A file that breaks its format's rules.
    pub(crate) fn broken(what: impl fmt::Display) -> Self {
        // One line, whatever a decoder says.
        Self::Broken(what.to_string().replace(['\r', '\n'], " "))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAPicture => write!(formatter, "not a JPEG, PNG, WebP or GIF picture"),
            Self::Size { width, height } => write!(
                formatter,
                "a picture of {width} x {height} pixels: from 1 x 1 up to {THUMBNAIL_PIXELS_MAX} pixels, \
                 {THUMBNAIL_SOURCE_SIDE_MAX_PIXELS} a side, are decoded"
            ),
            Self::Memory { needed_bytes, max_bytes } => {
                write!(
                    formatter,
                    "decoding it would take {needed_bytes} bytes of memory, and {max_bytes} are available"
                )
            }
            Self::Unsupported(what) => write!(formatter, "not supported: {what}"),
            Self::Truncated => write!(formatter, "the file ends before the picture does"),
            Self::Broken(what) => write!(formatter, "broken: {what}"),
        }
    }
}

impl std::error::Error for DecodeError {}
