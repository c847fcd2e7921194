//! From what a decoder gives to the thumbnail's pixels, and to its file.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use moc_domain::limits::{THUMBNAIL_QUALITY, THUMBNAIL_SIDE_PIXELS};

use crate::crop::Crop;
use crate::error::DecodeError;
use crate::picture::{Raster, Space};

/// Width and height of a thumbnail, in pixels.
pub const SIDE: usize = THUMBNAIL_SIDE_PIXELS as usize;

/// Resizes the crop to the thumbnail's size: by Lanczos's kernel where it shrinks, by Catmull and
/// Rom's where it grows, as sharp does. The samples stay what they are in the raster.
///
/// # Errors
/// [`DecodeError::Broken`], which would be an error of a decoder.
pub fn resample(raster: Raster, crop: &Crop) -> Result<Vec<u8>, DecodeError> {
    let kind = match raster.space {
        Space::Grey | Space::Rgb => PixelType::U8x3,
        Space::Cmyk => PixelType::U8x4,
    };
    let source = ImageRef::new(raster.width, raster.height, &raster.samples, kind).map_err(DecodeError::broken)?;
    let mut samples = vec![0; SIDE * SIDE * raster.space.samples()];
    let side = THUMBNAIL_SIDE_PIXELS;
    let mut target = Image::from_slice_u8(side, side, &mut samples, kind).map_err(DecodeError::broken)?;
    let filter =
        if crop.width.min(crop.height) < f64::from(side) { FilterType::CatmullRom } else { FilterType::Lanczos3 };
    // The fourth sample is black ink, no opacity.
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    let options = options.crop(crop.left, crop.top, crop.width, crop.height);
    Resizer::new().resize(&source, &mut target, &options).map_err(DecodeError::broken)?;
    Ok(samples)
}

/// Writes the thumbnail's file.
///
/// # Errors
/// [`DecodeError::Broken`], which would be an error of this crate.
pub fn encode(pixels: &[[u8; 3]]) -> Result<Vec<u8>, DecodeError> {
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, THUMBNAIL_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    let side = THUMBNAIL_SIDE_PIXELS as u16;
    encoder.encode(pixels.as_flattened(), side, side, ColorType::Rgb).map_err(DecodeError::broken)?;
    Ok(file)
}
