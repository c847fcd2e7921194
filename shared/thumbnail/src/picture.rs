//! A decoded picture, as far as a thumbnail shows it.

use moc_domain::limits::{THUMBNAIL_PIXELS_MAX, THUMBNAIL_SOURCE_SIDE_MAX_PIXELS};

use crate::crop::Crop;
use crate::error::DecodeError;
use crate::orientation::Orientation;

/// Width and height of a picture that may be decoded, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From 1 to 65,535.
    pub width: u32,
    /// From 1 to 65,535.
    pub height: u32,
}

impl Size {
    /// What a header says, where that is neither nothing nor too much.
    ///
    /// # Errors
    /// [`DecodeError::Size`].
    pub fn new(width: u32, height: u32) -> Result<Self, DecodeError> {
        let sides = 1..=THUMBNAIL_SOURCE_SIDE_MAX_PIXELS;
        let pixels = u64::from(width) * u64::from(height);
        if sides.contains(&width) && sides.contains(&height) && pixels <= THUMBNAIL_PIXELS_MAX {
            Ok(Self { width, height })
        } else {
            Err(DecodeError::Size { width: width.into(), height: height.into() })
        }
    }

    /// Width times height.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

/// What decoding may take.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub max_bytes: u64,
}

impl Memory {
    /// Lets pass what takes so many bytes to decode.
    ///
    /// # Errors
    /// [`DecodeError::Memory`].
    pub fn check(self, needed_bytes: u64) -> Result<(), DecodeError> {
        let Self { max_bytes } = self;
        if needed_bytes <= max_bytes { Ok(()) } else { Err(DecodeError::Memory { needed_bytes, max_bytes }) }
    }
}

/// What the samples of a pixel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Three times the same.
    Grey,
    /// Red, green, blue.
    Rgb,
    /// Cyan, magenta, yellow, black: 255 is all of an ink.
    Cmyk,
}

impl Space {
    /// Samples of a pixel.
    pub const fn samples(self) -> usize {
        match self {
            Self::Grey | Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// Pixels without alpha, a byte a sample, rows from the top, nothing between them.
pub struct Raster {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    pub space: Space,
    pub samples: Vec<u8>,
}

/// What a decoder gives: at least the part of the picture that the thumbnail shows, reduced perhaps.
pub struct Picture {
    pub raster: Raster,
    /// The part of the raster that is shown.
    pub crop: Crop,
    /// How it is to be turned.
    pub orientation: Orientation,
    /// The ICC profile in the file, whatever it is of.
    pub profile: Option<Vec<u8>>,
}
