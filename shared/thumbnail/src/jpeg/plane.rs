//! The samples of the components, and the pixels that they make together.

use super::header::{BLOCK_SAMPLES, Component, Frame};
use crate::crop::Crop;
use crate::picture::{Raster, Space};

/// The part of a picture that is decoded to samples: whole units of it.
#[derive(Clone, Copy)]
pub struct Region {
    /// The first unit, across.
    left: u32,
    /// The one after the last.
    right: u32,
    /// The first unit, downwards.
    top: u32,
    /// The one after the last.
    bottom: u32,
    /// Samples of a block, a side: 8, 4, 2 or 1.
    block_side: u32,
}

impl Region {
    /// What holds the crop, its blocks reduced to `block_side` samples a side.
    pub fn new(frame: &Frame, crop: &Crop, block_side: u32) -> Self {
        let ((left, right), (top, bottom)) = (crop.columns(frame.size), crop.rows(frame.size));
        let (across, down) = (frame.across_max * BLOCK_SAMPLES, frame.down_max * BLOCK_SAMPLES);
        Self {
            left: left / across,
            right: right.div_ceil(across),
            top: top / down,
            bottom: bottom.div_ceil(down),
            block_side,
        }
    }

    /// Rows of units down to the last that is needed.
    pub const fn units_down(&self) -> u32 {
        self.bottom
    }
}

/// The samples of one component in a region.
pub struct Plane {
    samples: Vec<u8>,
    width: usize,
    height: usize,
    /// The first block, across.
    left: u32,
    /// The first block, downwards.
    top: u32,
    block_side: usize,
}

impl Plane {
    /// A grey plane.
    pub fn new(component: &Component, region: &Region) -> Self {
        let block_side = region.block_side as usize;
        let width = (region.right - region.left) as usize * component.across as usize * block_side;
        let height = (region.bottom - region.top) as usize * component.down as usize * block_side;
        Self {
            samples: vec![128; width * height],
            width,
            height,
            left: region.left * component.across,
            top: region.top * component.down,
            block_side,
        }
    }

    /// The samples from a block's first on, and the length of a row. `None` outside the region.
    #[inline(always)]
    pub fn block(&mut self, across: u32, down: u32) -> Option<(&mut [u8], usize)> {
        let x = across.checked_sub(self.left)? as usize * self.block_side;
        let y = down.checked_sub(self.top)? as usize * self.block_side;
        if x >= self.width {
            return None;
        }
        Some((self.samples.get_mut(y * self.width + x..)?, self.width))
    }

    fn row(&self, y: usize) -> &[u8] {
        self.samples.chunks_exact(self.width.max(1)).nth(y.min(self.height.saturating_sub(1))).unwrap_or_default()
    }
}

/// What the components mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// One: brightness.
    Grey,
    /// Brightness, and two of colour (JFIF 1.02).
    YCbCr,
    /// As they are.
    Rgb,
    /// Inks, stored as `255 - ink` by Adobe's programs.
    Cmyk {
        /// Whether they are stored so.
        inverted: bool,
    },
    /// Inks, the first three of them as [`Colours::YCbCr`], the fourth stored as `255 - ink`.
    Ycck,
}

impl Colours {
    /// What pixels are made of them.
    const fn space(self) -> Space {
        match self {
            Self::Grey => Space::Grey,
            Self::YCbCr | Self::Rgb => Space::Rgb,
            Self::Cmyk { .. } | Self::Ycck => Space::Cmyk,
        }
    }

    /// Guesses what libjpeg guesses: the headers say it, or the components' ids.
    pub fn of(frame: &Frame, jfif: bool, adobe: Option<u8>) -> Self {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.as_slice(), adobe) {
            ([_], _) => Self::Grey,
            ([_, _, _], _) if jfif => Self::YCbCr,
            ([_, _, _], Some(0)) | (b"RGB", None) => Self::Rgb,
            ([_, _, _, _], Some(2)) => Self::Ycck,
            ([_, _, _, _], adobe) => Self::Cmyk { inverted: adobe.is_some() },
            _ => Self::YCbCr,
        }
    }
}

/// Between which two samples a pixel lies, and how near it is to the second, of 256.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    weight: u32,
}

/// For `pixels` pixels: where they lie among `samples` samples, of which there are `factor` for
/// every `factor_max` pixels. Samples stand in the middle of the pixels that they are for.
fn between(pixels: usize, factor: u32, factor_max: u32, samples: usize) -> Vec<Between> {
    let last = samples.saturating_sub(1);
    let step = f64::from(factor) / f64::from(factor_max);
    let place = |pixel: usize| {
        let position = ((pixel as f64 + 0.5) * step - 0.5).clamp(0.0, last as f64);
        let first = position.floor();
        let weight = ((position - first) * 256.0) as u32;
        Between { first: first as usize, second: (first as usize + 1).min(last), weight }
    };
    (0..pixels).map(place).collect()
}

/// Makes pixels of the planes; also gives the crop in them.
pub fn raster(frame: &Frame, region: &Region, planes: &[Plane], colours: Colours, crop: &Crop) -> (Raster, Crop) {
    let side = region.block_side;
    let reduced = |length: u32| (length * side).div_ceil(BLOCK_SAMPLES);
    let (left, top) = (region.left * frame.across_max * side, region.top * frame.down_max * side);
    // The last units may reach beyond the picture.
    let width = (region.right * frame.across_max * side).min(reduced(frame.size.width)) - left;
    let height = (region.bottom * frame.down_max * side).min(reduced(frame.size.height)) - top;

    struct Rows {
        columns: Vec<Between>,
        rows: Vec<Between>,
        whole: bool,
        row: Vec<u8>,
    }
    let mut rows: Vec<Rows> = frame
        .components
        .iter()
        .zip(planes)
        .map(|(component, plane)| Rows {
            columns: between(width as usize, component.across, frame.across_max, plane.width),
            rows: between(height as usize, component.down, frame.down_max, plane.height),
            whole: component.across == frame.across_max && component.down == frame.down_max,
            row: vec![0; width as usize],
        })
        .collect();

    let space = colours.space();
    let row_samples = width as usize * space.samples();
    let mut samples = vec![0; row_samples * height as usize];
    for (y, pixels) in samples.chunks_exact_mut(row_samples.max(1)).enumerate() {
        for (rows, plane) in rows.iter_mut().zip(planes) {
            if rows.whole {
                rows.row.iter_mut().zip(plane.row(y)).for_each(|(pixel, sample)| *pixel = *sample);
            } else if let Some(between) = rows.rows.get(y) {
                interpolate(
                    plane.row(between.first),
                    plane.row(between.second),
                    between.weight,
                    &rows.columns,
                    &mut rows.row,
                );
            }
        }
        let rows: Vec<&[u8]> = rows.iter().map(|rows| rows.row.as_slice()).collect();
        match space {
            Space::Cmyk => inks(&rows, colours, pixels.as_chunks_mut().0),
            Space::Grey | Space::Rgb => convert(&rows, colours, pixels.as_chunks_mut().0),
        }
    }
    let factor = f64::from(side) / f64::from(BLOCK_SAMPLES);
    let crop = crop.within(f64::from(left) / factor, f64::from(top) / factor, factor, width, height);
    (Raster { width, height, space, samples }, crop)
}

fn interpolate(upper: &[u8], lower: &[u8], weight: u32, columns: &[Between], row: &mut [u8]) {
    let mix = |first: u32, second: u32, weight: u32| first * (256 - weight) + second * weight;
    let at = |samples: &[u8], place: usize| u32::from(samples.get(place).copied().unwrap_or(128));
    for (pixel, column) in row.iter_mut().zip(columns) {
        let first = mix(at(upper, column.first), at(lower, column.first), weight);
        let second = mix(at(upper, column.second), at(lower, column.second), weight);
        *pixel = ((mix(first, second, column.weight) + 0x8000) >> 16) as u8;
    }
}

fn convert(rows: &[&[u8]], colours: Colours, pixels: &mut [[u8; 3]]) {
    match (rows, colours) {
        ([grey], _) => pixels.iter_mut().zip(*grey).for_each(|(pixel, grey)| *pixel = [*grey; 3]),
        ([y, cb, cr], Colours::YCbCr) => {
            for (((pixel, y), cb), cr) in pixels.iter_mut().zip(*y).zip(*cb).zip(*cr) {
                *pixel = from_ycbcr(*y, *cb, *cr);
            }
        }
        ([red, green, blue], _) => {
            for (((pixel, red), green), blue) in pixels.iter_mut().zip(*red).zip(*green).zip(*blue) {
                *pixel = [*red, *green, *blue];
            }
        }
        _ => {}
    }
}

fn inks(rows: &[&[u8]], colours: Colours, pixels: &mut [[u8; 4]]) {
    let [cyan, magenta, yellow, black] = rows else { return };
    for ((((pixel, c), m), y), k) in pixels.iter_mut().zip(*cyan).zip(*magenta).zip(*yellow).zip(*black) {
        *pixel = match colours {
            Colours::Ycck => {
                let [cyan, magenta, yellow] = from_ycbcr(*c, *m, *y);
                [cyan, magenta, yellow, 255 - k]
            }
            Colours::Cmyk { inverted: true } => [255 - c, 255 - m, 255 - y, 255 - k],
            _ => [*c, *m, *y, *k],
        };
    }
}

/// JFIF 1.02, in 16 bits after the point.
fn from_ycbcr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = ((i32::from(y) << 16) + 0x8000, i32::from(cb) - 128, i32::from(cr) - 128);
    [y + 91_881 * cr, y - 22_554 * cb - 46_802 * cr, y + 116_130 * cb].map(|value| (value >> 16).clamp(0, 255) as u8)
}
