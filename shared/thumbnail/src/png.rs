//! PNG (W3C, third edition): row by row, an interlaced one whole. Of an animation the picture that
//! other programs show.

use std::io::{Cursor, ErrorKind};

use ::png::{ColorType, Decoder, DecodingError, Limits, Reader, Transformations};
use moc_domain::limits::MIB;

use crate::crop::Crop;
use crate::error::DecodeError;
use crate::orientation::Orientation;
use crate::picture::{Memory, Picture, Size, Space};
use crate::shrink::{Shrink, on_white};

/// Most memory for what comes before the pixels, for example a compressed ICC profile.
const METADATA_MAX_BYTES: usize = 16 * MIB as usize;

/// Decodes the part of a picture that a thumbnail shows.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(data: &[u8], memory: Memory) -> Result<Picture, DecodeError> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(data), Limits { bytes: METADATA_MAX_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_transformations(Transformations::normalize_to_color8());
    let header = decoder.read_header_info().map_err(decode_error)?;
    let (size, interlaced) = (Size::new(header.width, header.height)?, header.interlaced);
    if interlaced {
        memory.check(4 * size.pixels())?;
    }
    let mut reader = decoder.read_info().map_err(decode_error)?;
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let profile = reader.info().icc_profile.as_deref().map(<[u8]>::to_vec);
    let mut shrink = Shrink::new(size, Crop::cover(size, orientation));
    let space = match reader.output_color_type() {
        (ColorType::Grayscale | ColorType::GrayscaleAlpha, _) => Space::Grey,
        _ => Space::Rgb,
    };
    if interlaced {
        push_whole(&mut reader, size, &mut shrink)?
    } else {
        push_rows(&mut reader, &mut shrink)?
    }
    let (raster, crop) = shrink.finish(space);
    Ok(Picture { raster, crop, orientation, profile })
}

fn push_rows(reader: &mut Reader<Cursor<&[u8]>>, shrink: &mut Shrink) -> Result<(), DecodeError> {
    let mut pixels = Pixels::new(reader.output_color_type().0, shrink);
    let (top, bottom) = shrink.rows();
    for y in 0..bottom {
        let row = reader.next_row().map_err(decode_error)?.ok_or(DecodeError::Truncated)?;
        if y >= top {
            shrink.push(pixels.rgb(row.data()));
        }
    }
    Ok(())
}

fn push_whole(reader: &mut Reader<Cursor<&[u8]>>, size: Size, shrink: &mut Shrink) -> Result<(), DecodeError> {
    let mut pixels = Pixels::new(reader.output_color_type().0, shrink);
    let row_bytes = reader.output_line_size(size.width).unwrap_or_default();
    let mut whole = vec![0; row_bytes * size.height as usize];
    reader.next_frame(&mut whole).map_err(decode_error)?;
    let (top, bottom) = shrink.rows();
    let rows = whole.chunks_exact(row_bytes.max(1)).take(bottom as usize).skip(top as usize);
    rows.for_each(|row| shrink.push(pixels.rgb(row)));
    Ok(())
}

/// Makes red, green and blue of rows of any kind, as far as their columns are wanted.
struct Pixels {
    kind: ColorType,
    columns: (usize, usize),
    rgb: Vec<[u8; 3]>,
}

impl Pixels {
    fn new(kind: ColorType, shrink: &Shrink) -> Self {
        let (start, end) = shrink.columns();
        let (start, end) = (start as usize, end as usize);
        Self { kind, columns: (start, end), rgb: vec![[0; 3]; end - start] }
    }

    fn rgb<'a>(&'a mut self, row: &'a [u8]) -> &'a [u8] {
        let (start, end) = self.columns;
        let wanted = row.get(start * self.kind.samples()..end * self.kind.samples()).unwrap_or_default();
        match self.kind {
            ColorType::Rgb => return wanted,
            ColorType::Rgba => {
                let (wanted, _) = wanted.as_chunks::<4>();
                self.rgb.iter_mut().zip(wanted).for_each(|(pixel, rgba)| *pixel = on_white(*rgba));
            }
            ColorType::GrayscaleAlpha => {
                let (wanted, _) = wanted.as_chunks::<2>();
                let on_white = |[grey, alpha]: [u8; 2]| on_white([grey, grey, grey, alpha]);
                self.rgb.iter_mut().zip(wanted).for_each(|(pixel, grey)| *pixel = on_white(*grey));
            }
            // Palettes are looked up by the decoder.
            ColorType::Grayscale | ColorType::Indexed => {
                self.rgb.iter_mut().zip(wanted).for_each(|(pixel, grey)| *pixel = [*grey; 3]);
            }
        }
        self.rgb.as_flattened()
    }
}

fn decode_error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => DecodeError::Truncated,
        error => DecodeError::broken(error),
    }
}
