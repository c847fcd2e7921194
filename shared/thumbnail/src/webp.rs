//! WebP (RFC 9649): of an animation the first frame, where it stands on its canvas.
//!
//! The container is read here, and the decoder gets the one image in a container of its own: so the
//! sizes are checked in the image's own header, and an animation takes no more memory than a still.

use std::io::{Cursor, ErrorKind};

use image_webp::{DecodingError, UpsamplingMethod, WebPDecodeOptions, WebPDecoder};
use moc_domain::limits::THUMBNAIL_SIDE_PIXELS;

use crate::crop::Crop;
use crate::error::DecodeError;
use crate::orientation::Orientation;
use crate::picture::{Memory, Picture, Size, Space};
use crate::shrink::{Shrink, on_white};

/// Where nothing is painted.
const WHITE: [u8; 3] = [255; 3];
/// The flag of `VP8X` that says there is opacity.
const ALPHA_FLAG: u8 = 0x10;

/// What a file has.
#[derive(Default)]
struct Container<'a> {
    canvas: Option<Size>,
    frame: Option<Frame<'a>>,
    exif: Option<&'a [u8]>,
    profile: Option<&'a [u8]>,
}

struct Frame<'a> {
    /// Column of the canvas.
    left: u32,
    /// Row of the canvas.
    top: u32,
    image: Image<'a>,
}

/// The chunks of an image.
#[derive(Clone, Copy, Default)]
struct Image<'a> {
    alpha: Option<&'a [u8]>,
    lossy: Option<&'a [u8]>,
    lossless: Option<&'a [u8]>,
}

/// Decodes the part of a picture that a thumbnail shows.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(data: &[u8], memory: Memory) -> Result<Picture, DecodeError> {
    let container = Container::parse(data)?;
    let frame = container.frame.ok_or_else(|| DecodeError::broken("there is no picture in it"))?;
    let size = frame.image.size()?;
    let canvas = container.canvas.unwrap_or(size);
    if frame.left + size.width > canvas.width || frame.top + size.height > canvas.height {
        return Err(DecodeError::broken("the image is larger than its canvas"));
    }
    let orientation = container.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
    let mut shrink = Shrink::new(canvas, Crop::cover(canvas, orientation));
    let pixels = frame.image.decode(size, memory)?;

    let ((first_column, end_column), (first_row, end_row)) = (shrink.columns(), shrink.rows());
    let mut row = vec![WHITE; (end_column - first_column) as usize];
    for y in first_row..end_row {
        row.fill(WHITE);
        let painted = row.iter_mut().skip(frame.left.saturating_sub(first_column) as usize);
        if let Some(y) = y.checked_sub(frame.top) {
            pixels.paint(y as usize, first_column.saturating_sub(frame.left) as usize, painted);
        }
        shrink.push(row.as_flattened());
    }
    let (raster, crop) = shrink.finish(Space::Rgb);
    Ok(Picture { raster, crop, orientation, profile: container.profile.map(<[u8]>::to_vec) })
}

impl<'a> Container<'a> {
    fn parse(data: &'a [u8]) -> Result<Self, DecodeError> {
        let mut container = Self::default();
        let mut image = Image::default();
        for chunk in chunks(data.get(12..).unwrap_or_default()) {
            let (name, payload) = chunk?;
            match name {
                b"VP8X" if container.canvas.is_none() => {
                    let [_, _, _, _, w0, w1, w2, h0, h1, h2, ..] = payload else {
                        return Err(DecodeError::broken("the canvas has no size"));
                    };
                    container.canvas = Some(Size::new(u24(*w0, *w1, *w2) + 1, u24(*h0, *h1, *h2) + 1)?);
                }
                b"ANMF" if container.frame.is_none() => container.frame = Some(Frame::parse(payload)?),
                b"ICCP" => container.profile = container.profile.or(Some(payload)),
                b"EXIF" => container.exif = container.exif.or(Some(payload)),
                _ => image.take(name, payload),
            }
        }
        if container.frame.is_none() && image.is_whole() {
            container.frame = Some(Frame { left: 0, top: 0, image });
        }
        Ok(container)
    }
}

impl<'a> Frame<'a> {
    fn parse(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let (header, rest) =
            payload.split_first_chunk::<16>().ok_or_else(|| DecodeError::broken("a frame has no header"))?;
        let [x0, x1, x2, y0, y1, y2, ..] = *header;
        let mut image = Image::default();
        for chunk in chunks(rest) {
            let (name, payload) = chunk?;
            image.take(name, payload);
        }
        if !image.is_whole() {
            return Err(DecodeError::broken("a frame has no image"));
        }
        Ok(Self { left: 2 * u24(x0, x1, x2), top: 2 * u24(y0, y1, y2), image })
    }
}

impl<'a> Image<'a> {
    fn take(&mut self, name: &[u8; 4], payload: &'a [u8]) {
        let place = match name {
            b"ALPH" => &mut self.alpha,
            b"VP8 " => &mut self.lossy,
            b"VP8L" => &mut self.lossless,
            _ => return,
        };
        *place = place.or(Some(payload));
    }

    const fn is_whole(&self) -> bool {
        self.lossy.is_some() || self.lossless.is_some()
    }

    /// What the image itself says (RFC 6386, section 9.1; RFC 9649, section 3.4).
    fn size(&self) -> Result<Size, DecodeError> {
        match (self.lossy, self.lossless) {
            (Some([_, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..]), _) => {
                let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                Size::new(side(*w0, *w1), side(*h0, *h1))
            }
            (None, Some([0x2f, b0, b1, b2, b3, ..])) => {
                let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
                Size::new((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1)
            }
            _ => Err(DecodeError::broken("an image has no header")),
        }
    }

    /// What decoding it takes: pixels, planes, and of an image with opacity this for itself.
    fn memory_bytes(&self, size: Size) -> u64 {
        match (self.lossy, self.alpha) {
            (None, _) => size.pixels() * 5,
            (Some(_), None) => size.pixels() * 9 / 2,
            (Some(_), Some(_)) => size.pixels() * 21 / 2,
        }
    }

    fn decode(&self, size: Size, memory: Memory) -> Result<Pixels, DecodeError> {
        memory.check(self.memory_bytes(size))?;
        let mut options = WebPDecodeOptions::default();
        if size.width.min(size.height) >= 2 * THUMBNAIL_SIDE_PIXELS {
            // Differences between fine steps of colours disappear when the picture is reduced.
            options.lossy_upsampling = UpsamplingMethod::Simple;
        }
        let file = self.file(size);
        let mut decoder = WebPDecoder::new_with_options(Cursor::new(&file), options).map_err(decode_error)?;
        let mut bytes = vec![0; decoder.output_buffer_size().unwrap_or_default()];
        let opaque = match self.lossless {
            Some([_, _, _, _, high, ..]) if self.lossy.is_none() => high & ALPHA_FLAG == 0,
            _ => false,
        };
        decoder.read_image(&mut bytes).map_err(decode_error)?;
        Ok(Pixels { bytes, width: size.width as usize, alpha: decoder.has_alpha(), opaque })
    }

    /// A file with this image alone.
    fn file(&self, size: Size) -> Vec<u8> {
        let mut chunks = Vec::new();
        let mut add = |name: &[u8; 4], payload: &[u8]| {
            chunks.extend_from_slice(name);
            chunks.extend_from_slice(&(payload.len() as u32).to_le_bytes());
            chunks.extend_from_slice(payload);
            chunks.resize(chunks.len().next_multiple_of(2), 0);
        };
        match (self.lossy, self.lossless, self.alpha) {
            (Some(lossy), _, Some(alpha)) => {
                let ([w0, w1, ..], [h0, h1, ..]) = ((size.width - 1).to_le_bytes(), (size.height - 1).to_le_bytes());
                add(b"VP8X", &[ALPHA_FLAG, 0, 0, 0, w0, w1, 0, h0, h1, 0]);
                add(b"ALPH", alpha);
                add(b"VP8 ", lossy);
            }
            (Some(lossy), _, None) => add(b"VP8 ", lossy),
            (None, Some(lossless), _) => {
                // An image without opacity is decoded as one that has it, which takes less memory.
                let mut lossless = lossless.to_vec();
                if let Some(high) = lossless.get_mut(4) {
                    *high |= ALPHA_FLAG;
                }
                add(b"VP8L", &lossless);
            }
            (None, None, _) => {}
        }
        let length = (chunks.len() as u32 + 4).to_le_bytes();
        [b"RIFF", &length[..], b"WEBP", &chunks].concat()
    }
}

/// A decoded image.
struct Pixels {
    bytes: Vec<u8>,
    width: usize,
    /// Whether there are four bytes a pixel, not three.
    alpha: bool,
    /// Whether the fourth means nothing.
    opaque: bool,
}

impl Pixels {
    /// Paints a row, from `column` on, as far as there is place.
    fn paint<'a>(&self, row: usize, column: usize, place: impl Iterator<Item = &'a mut [u8; 3]>) {
        if self.alpha {
            let (pixels, _) = self.bytes.as_chunks::<4>();
            let pixels = pixels.chunks_exact(self.width).nth(row).unwrap_or_default().iter().skip(column);
            if self.opaque {
                place.zip(pixels).for_each(|(pixel, [red, green, blue, _])| *pixel = [*red, *green, *blue]);
            } else {
                place.zip(pixels).for_each(|(pixel, rgba)| *pixel = on_white(*rgba));
            }
        } else {
            let (pixels, _) = self.bytes.as_chunks::<3>();
            let pixels = pixels.chunks_exact(self.width).nth(row).unwrap_or_default().iter().skip(column);
            place.zip(pixels).for_each(|(pixel, rgb)| *pixel = *rgb);
        }
    }
}

/// The chunks that follow each other in `data`: names and payloads.
fn chunks(mut data: &[u8]) -> impl Iterator<Item = Result<(&[u8; 4], &[u8]), DecodeError>> {
    std::iter::from_fn(move || {
        // What is too short for a chunk is left over by some program.
        let (name, rest) = data.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else {
            data = &[];
            return Some(Err(DecodeError::Truncated));
        };
        // Chunks of odd length are followed by a byte that means nothing.
        data = rest.get(length % 2..).unwrap_or_default();
        Some(Ok((name, payload)))
    })
}

const fn u24(low: u8, middle: u8, high: u8) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

fn decode_error(error: DecodingError) -> DecodeError {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => DecodeError::Truncated,
        error => DecodeError::broken(error),
    }
}
