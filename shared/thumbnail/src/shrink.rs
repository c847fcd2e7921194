//! Rows come in one after the other and are averaged to fewer, so that a large picture need not be
//! in memory.

use moc_domain::limits::THUMBNAIL_SIDE_PIXELS;

use crate::crop::Crop;
use crate::picture::{Raster, Size, Space};

/// Averages squares of pixels of the part that is shown. The result is at least twice as large as
/// the thumbnail, where the picture is, so that resizing it makes the thumbnail's sharpness.
pub struct Shrink {
    crop: Crop,
    columns: (u32, u32),
    rows: (u32, u32),
    /// Pixels of a square, a side.
    factor: u32,
    /// Sums of the rows that are not yet averaged, one of each byte of a row: 255 times the largest
    /// factor, 109, at most.
    sums: Vec<u16>,
    summed_rows: u32,
    rgb: Vec<u8>,
}

impl Shrink {
    /// Starts with a picture of this size.
    pub fn new(size: Size, crop: Crop) -> Self {
        let factor = (size.width.min(size.height) / THUMBNAIL_SIDE_PIXELS / 2).max(1);
        let (columns, rows) = (crop.columns(size), crop.rows(size));
        let width = (columns.1 - columns.0) as usize;
        let shrunk = width.div_ceil(factor as usize) * ((rows.1 - rows.0).div_ceil(factor)) as usize;
        Self {
            crop,
            columns,
            rows,
            factor,
            sums: vec![0; width * 3],
            summed_rows: 0,
            rgb: Vec::with_capacity(shrunk * 3),
        }
    }

    /// The columns that are wanted, `(start, end)`.
    pub const fn columns(&self) -> (u32, u32) {
        self.columns
    }

    /// The rows that are wanted, `(start, end)`.
    pub const fn rows(&self) -> (u32, u32) {
        self.rows
    }

    /// Takes the wanted columns of the next wanted row, three bytes each.
    pub fn push(&mut self, row: &[u8]) {
        if self.factor == 1 {
            return self.rgb.extend_from_slice(row);
        }
        self.sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += u16::from(*value));
        self.summed_rows += 1;
        if self.summed_rows == self.factor {
            self.average();
        }
    }

    fn average(&mut self) {
        let (pixels, _) = self.sums.as_chunks::<3>();
        for square in pixels.chunks(self.factor as usize) {
            let count = square.len() as u32 * self.summed_rows;
            let sums = square.iter().fold([0_u32; 3], |[red, green, blue], [r, g, b]| {
                [red + u32::from(*r), green + u32::from(*g), blue + u32::from(*b)]
            });
            self.rgb.extend(sums.map(|sum| ((sum + count / 2) / count) as u8));
        }
        self.sums.fill(0);
        self.summed_rows = 0;
    }

    /// What has come of it, and the crop in it. `space` is one of three samples.
    pub fn finish(mut self, space: Space) -> (Raster, Crop) {
        if self.summed_rows > 0 {
            self.average();
        }
        let width = (self.columns.1 - self.columns.0).div_ceil(self.factor);
        let height = (self.rows.1 - self.rows.0).div_ceil(self.factor);
        let (left, top) = (f64::from(self.columns.0), f64::from(self.rows.0));
        let crop = self.crop.within(left, top, 1.0 / f64::from(self.factor), width, height);
        (Raster { width, height, space, samples: self.rgb }, crop)
    }
}

/// A pixel on white; the last byte is its opacity.
#[inline(always)]
pub fn on_white([red, green, blue, alpha]: [u8; 4]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    [red, green, blue].map(|value| {
        let sum = u32::from(value) * alpha + 255 * (255 - alpha) + 128;
        // Divides by 255, exactly rounded, for every sum that there can be (Blinn 1994).
        ((sum + (sum >> 8)) >> 8) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orientation::Orientation;

    #[test]
    fn squares_are_averaged_and_what_is_left_at_the_borders_too() {
        let size = Size::new(1201, 1203).unwrap();
        let mut shrink = Shrink::new(size, Crop::cover(size, Orientation::UPRIGHT));
        assert_eq!(shrink.factor, 2);
        let (top, bottom) = shrink.rows();
        let (left, right) = shrink.columns();
        for y in top..bottom {
            let value = if y % 4 < 2 { 10 } else { 20 };
            shrink.push(&vec![value; ((right - left) * 3) as usize]);
        }
        let (raster, crop) = shrink.finish(Space::Grey);
        assert_eq!((raster.width, raster.height), ((right - left).div_ceil(2), (bottom - top).div_ceil(2)));
        assert_eq!(raster.samples.len(), (raster.width * raster.height * 3) as usize);
        assert!(crop.left + crop.width <= f64::from(raster.width), "{crop:?}");
        assert!((crop.width - 600.5).abs() < 1.1 && (crop.height - 600.5).abs() < 1.1, "{crop:?}");
        let first = if top % 4 < 2 { 10 } else { 20 };
        assert!(top % 2 == 1 || raster.samples[0] == first, "{top}");
    }

    #[test]
    fn opacity_mixes_with_white() {
        for alpha in 0..=255_u8 {
            for value in 0..=255_u8 {
                let exact = (f64::from(value) * f64::from(alpha) + 255.0 * (255.0 - f64::from(alpha))) / 255.0;
                assert_eq!(on_white([value, 0, 0, alpha])[0], exact.round() as u8, "{value} {alpha}");
            }
        }
    }
}
