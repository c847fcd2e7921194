//! Thumbnails: a JPEG, PNG, WebP or GIF picture in, a small square JPEG out.
//!
//! The picture may be anybody's, so its size is read before its pixels, what decoding takes is
//! bounded, and nothing in it makes this crate panic. What comes out looks as sharp's
//! `.rotate().resize(300, 300).flatten({ background: "#fff" }).jpeg({ quality: 80 })`.

mod colour;
mod crop;
mod error;
mod gif;
mod jpeg;
mod orientation;
mod picture;
mod png;
mod resample;
mod shrink;
mod webp;

use moc_domain::content::Content;

pub use error::DecodeError;
use picture::Memory;

/// Makes a thumbnail: the middle of the picture, turned as its EXIF says, in sRGB, on white. Decoding it may take so many
/// bytes of memory.
///
/// # Errors
/// [`DecodeError`] says why none can be made.
pub fn thumbnail(picture: &[u8], memory_max_bytes: u64) -> Result<Vec<u8>, DecodeError> {
    let decoders = [
        (Content::Jpeg, jpeg::decode as fn(&[u8], Memory) -> Result<picture::Picture, DecodeError>),
        (Content::Png, png::decode),
        (Content::WebP, webp::decode),
        (Content::Gif, gif::decode),
    ];
    let decoder = decoders.into_iter().find(|(content, _)| content.matches(picture, true));
    let (_, decode) = decoder.ok_or(DecodeError::NotAPicture)?;
    let decoded = decode(picture, Memory { max_bytes: memory_max_bytes })?;
    let space = decoded.raster.space;
    let samples = resample::resample(decoded.raster, &decoded.crop)?;
    let pixels = colour::to_srgb(space, samples, decoded.profile);
    resample::encode(&decoded.orientation.turn(pixels, resample::SIDE))
}
