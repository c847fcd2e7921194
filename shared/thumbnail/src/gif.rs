//! GIF (87a, 89a): the first frame, where it stands on its canvas.

use std::io::ErrorKind;
use std::num::NonZeroU64;

use ::gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};
use moc_domain::limits::THUMBNAIL_PIXELS_MAX;

use crate::crop::Crop;
use crate::error::DecodeError;
use crate::orientation::Orientation;
use crate::picture::{Memory, Picture, Size, Space};
use crate::shrink::Shrink;

/// Where nothing is painted.
const WHITE: [u8; 3] = [255; 3];

/// Decodes the part of a picture that a thumbnail shows.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(data: &[u8], memory: Memory) -> Result<Picture, DecodeError> {
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    if let Some(limit) = NonZeroU64::new(THUMBNAIL_PIXELS_MAX) {
        options.set_memory_limit(MemoryLimit::Bytes(limit));
    }
    let mut decoder = options.read_info(data).map_err(decode_error)?;
    let size = Size::new(decoder.width().into(), decoder.height().into())?;
    let frame = decoder.next_frame_info().map_err(decode_error)?;
    let frame = frame.ok_or_else(|| DecodeError::broken("there is no picture in it"))?;
    // What of it is beyond the canvas is not shown, but decoded.
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, transparent) = (usize::from(frame.width), frame.transparent);
    memory.check(Size::new(frame.width.into(), frame.height.into())?.pixels())?;
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(decode_error)?;
    let (palette, _) = decoder.palette().map_err(decode_error)?.as_chunks::<3>();
    let mut colours = [WHITE; 256];
    colours.iter_mut().zip(palette).for_each(|(colour, given)| *colour = *given);
    if let Some(colour) = transparent.and_then(|index| colours.get_mut(usize::from(index))) {
        *colour = WHITE;
    }

    let mut shrink = Shrink::new(size, Crop::cover(size, Orientation::UPRIGHT));
    let ((first_column, end_column), (first_row, end_row)) = (shrink.columns(), shrink.rows());
    let (first_column, end_column) = (first_column as usize, end_column as usize);
    let mut pixels = vec![WHITE; end_column - first_column];
    for y in first_row as usize..end_row as usize {
        let row = y.checked_sub(top).and_then(|y| indices.chunks_exact(width).nth(y)).unwrap_or_default();
        pixels.fill(WHITE);
        // The columns of the frame among the wanted ones.
        let painted = pixels.iter_mut().skip(left.saturating_sub(first_column));
        let row = row.iter().skip(first_column.saturating_sub(left));
        for (pixel, index) in painted.zip(row) {
            *pixel = colours.get(usize::from(*index)).copied().unwrap_or(WHITE);
        }
        shrink.push(pixels.as_flattened());
    }
    let (raster, crop) = shrink.finish(Space::Rgb);
    Ok(Picture { raster, crop, orientation: Orientation::UPRIGHT, profile: None })
}

fn decode_error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::Io(error) if error.kind() == ErrorKind::UnexpectedEof => DecodeError::Truncated,
        error => DecodeError::broken(error),
    }
}
