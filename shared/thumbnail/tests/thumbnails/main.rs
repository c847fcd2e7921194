//! Thumbnails of pictures as they come, and of files that are meant to do harm.

// The workspace's lints forbid panics, which are how a test fails.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)]

mod colour_chunks;
mod colours;
mod golden;
mod hostile;
mod made;
mod mutated;
mod perception;
mod profiles;

use std::fs;
use std::path::{Path, PathBuf};

use moc_domain::limits::THUMBNAIL_MEMORY_MAX_BYTES;
use moc_thumbnail::DecodeError;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;

/// Width and height of a thumbnail.
const SIDE: usize = 300;

/// The folder with the photographs.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/pictures")
}

/// A file of that folder.
fn picture(name: &str) -> Vec<u8> {
    let path = folder().join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Width, height and pixels of a JPEG, by another decoder than ours.
fn decode(jpeg: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut decoder = JpegDecoder::new(ZCursor::new(jpeg));
    let bytes = decoder.decode().expect("a JPEG");
    let (width, height) = decoder.dimensions().expect("a size");
    let pixels = match bytes.len() / (width * height) {
        1 => bytes.into_iter().map(|grey| [grey; 3]).collect(),
        _ => bytes.as_chunks::<3>().0.to_vec(),
    };
    (width, height, pixels)
}

/// The thumbnail of a picture, as an instance with enough memory makes it.
fn thumbnail(picture: &[u8]) -> Result<Vec<u8>, DecodeError> {
    moc_thumbnail::thumbnail(picture, THUMBNAIL_MEMORY_MAX_BYTES)
}

/// The pixels of the thumbnail of a picture.
fn pixels(picture: &[u8]) -> Vec<[u8; 3]> {
    let jpeg = thumbnail(picture).expect("a thumbnail");
    let (width, height, pixels) = decode(&jpeg);
    assert_eq!((width, height), (SIDE, SIDE));
    pixels
}
