//! JPEG (ITU-T T.81; JFIF 1.02), baseline, extended and progressive with Huffman codes, as far as a
//! thumbnail needs it.
//!
//! The decoders that there are give whole pictures. This one decodes the part that a thumbnail
//! shows, at one, two, four or eight samples a side of a block. At one sample only the first
//! coefficient of each block counts, so the others are skipped in a sequential picture, and
//! in a progressive one their scans are never looked at.

mod bits;
mod header;
mod huffman;
mod plane;
mod scan;
mod transform;

use moc_domain::limits::THUMBNAIL_SIDE_PIXELS;

use self::header::{BLOCK_SAMPLES, Frame, ScanHeader, Tables};
use self::plane::{Colours, Plane, Region};
use self::scan::{Place, ScanTables, next_marker, walk};
use self::transform::Quantization;
use crate::crop::Crop;
use crate::error::DecodeError;
use crate::orientation::Orientation;
use crate::picture::{Memory, Picture};

const BLOCK_COEFFICIENTS: usize = 64;
/// Most scans that are read: a progressive picture has about ten.
const SCANS_MAX: usize = 100;

/// Decodes the part of a picture that a thumbnail shows.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(data: &[u8], memory: Memory) -> Result<Picture, DecodeError> {
    let mut tables = Tables::default();
    let mut frame = None;
    let mut target: Option<Target> = None;
    let mut scans = 0;
    let mut position = 2;
    loop {
        let (marker, start) = next_marker(data, position).ok_or(DecodeError::Truncated)?;
        match marker {
            // Of no meaning outside scans.
            0x01 | 0xd0..=0xd8 => {
                position = start;
                continue;
            }
            0xd9 => break,
            _ => {}
        }
        let (segment, end) = segment(data, start)?;
        position = end;
        match (marker, &frame) {
            (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, None) => {
                frame = Some(Frame::parse(marker, segment)?);
            }
            (0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, Some(_)) => {
                return Err(DecodeError::broken("there are two frames"));
            }
            (0xda, Some(frame)) => {
                scans += 1;
                if scans > SCANS_MAX {
                    return Err(DecodeError::broken("there are too many scans"));
                }
                let scan = ScanHeader::parse(segment, frame)?;
                if target.is_none() {
                    target = Some(Target::new(frame, &tables, memory)?);
                }
                let Some(target) = &mut target else { continue };
                position = target.read(data, position, frame, &tables, &scan)?;
                if target.is_complete() {
                    break;
                }
            }
            (0xda, None) => return Err(DecodeError::broken("a scan comes before the frame")),
            _ => tables.read(marker, segment)?,
        }
    }
    let (Some(frame), Some(target)) = (frame, target) else {
        return Err(DecodeError::broken("there is no picture in it"));
    };
    target.finish(&frame, &tables)
}

/// The segment whose length stands at `start`, and where it ends.
fn segment(data: &[u8], start: usize) -> Result<(&[u8], usize), DecodeError> {
    let length = data.get(start..).and_then(|rest| rest.first_chunk::<2>()).ok_or(DecodeError::Truncated)?;
    let end = start + usize::from(u16::from_be_bytes(*length));
    if end < start + 2 {
        return Err(DecodeError::broken("a segment's length is below two"));
    }
    Ok((data.get(start + 2..end).ok_or(DecodeError::Truncated)?, end))
}

/// What is being decoded to.
struct Target {
    orientation: Orientation,
    crop: Crop,
    region: Region,
    /// Samples of a block, a side.
    block_side: u32,
    planes: Vec<Plane>,
    components: Vec<Progress>,
    complete: bool,
}

/// How far a component is.
struct Progress {
    /// The quantization table as it was at the component's first scan.
    quantization: Option<Quantization>,
    /// The lowest bit of each coefficient that is known.
    known: [Option<u8>; BLOCK_COEFFICIENTS],
    /// Of a progressive picture: the coefficients of all blocks, in zigzag order, or the first
    /// of each where no more are needed.
    coefficients: Vec<i16>,
    /// Blocks in a row of them.
    blocks_across: usize,
}

impl Target {
    fn new(frame: &Frame, tables: &Tables, memory: Memory) -> Result<Self, DecodeError> {
        let orientation = tables.exif.map_or(Orientation::UPRIGHT, Orientation::from_exif);
        let crop = Crop::cover(frame.size, orientation);
        let block_side = block_side(frame.size.width.min(frame.size.height));
        let region = Region::new(frame, &crop, block_side);
        let kept = if block_side == 1 { 1 } else { BLOCK_COEFFICIENTS };
        let blocks = |component: &header::Component| {
            let across = u64::from(frame.units_across) * u64::from(component.across);
            (across, across * u64::from(region.units_down()) * u64::from(component.down))
        };
        if frame.progressive {
            let blocks: u64 = frame.components.iter().map(|component| blocks(component).1).sum();
            memory.check(blocks * kept as u64 * size_of::<i16>() as u64)?;
        }
        let progress = |component| {
            let (blocks_across, blocks) = blocks(component);
            let coefficients = if frame.progressive { vec![0; blocks as usize * kept] } else { Vec::new() };
            Progress {
                quantization: None,
                known: [None; BLOCK_COEFFICIENTS],
                coefficients,
                blocks_across: blocks_across as usize,
            }
        };
        Ok(Self {
            orientation,
            crop,
            region,
            block_side,
            planes: frame.components.iter().map(|component| Plane::new(component, &region)).collect(),
            components: frame.components.iter().map(progress).collect(),
            complete: false,
        })
    }

    /// Whether no further scan can change the thumbnail.
    const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Reads a scan that starts at `position`, and gives where the next marker is looked for.
    fn read(
        &mut self,
        data: &[u8],
        position: usize,
        frame: &Frame,
        tables: &Tables,
        scan: &ScanHeader,
    ) -> Result<usize, DecodeError> {
        for component in &scan.components {
            let quantization = frame.components.get(component.index).map_or(0, |component| component.quantization);
            let table = tables.quantization.get(quantization).and_then(Option::as_ref);
            let table = table.ok_or_else(|| DecodeError::broken("a quantization table is missing"))?;
            if let Some(progress) = self.components.get_mut(component.index) {
                progress.quantization.get_or_insert_with(|| Quantization::new(table, self.block_side as usize));
                progress.advance(scan)?;
            }
        }
        let end = if !frame.progressive {
            self.read_sequential(data, position, frame, tables, scan)?
        } else if scan.first > 0 && self.block_side == 1 {
            position
        } else {
            self.read_progressive(data, position, frame, tables, scan)?
        };
        self.complete = self.components.iter().all(|progress| {
            let mut needed = progress.known.iter().take(if self.block_side == 1 { 1 } else { BLOCK_COEFFICIENTS });
            needed.all(|known| *known == Some(0))
        });
        Ok(end)
    }

    fn read_sequential(
        &mut self,
        data: &[u8],
        position: usize,
        frame: &Frame,
        tables: &Tables,
        scan: &ScanHeader,
    ) -> Result<usize, DecodeError> {
        let huffman = ScanTables::new(tables, frame, scan)?;
        let indices = indices(scan);
        let (planes, components, one) = (&mut self.planes, &self.components, self.block_side == 1);
        walk(data, position, frame, scan, self.region.units_down(), tables.restart_interval, |bits, state, place| {
            let Place { component, across, down } = place;
            let dc = huffman.read_dc(bits, state, component)?;
            let index = indices.get(component).copied().unwrap_or_default();
            let samples = planes.get_mut(index).and_then(|plane| plane.block(across, down));
            let quantization = components.get(index).and_then(|progress| progress.quantization.as_ref());
            let (Some((samples, stride)), Some(quantization)) = (samples, quantization) else {
                return huffman.skip_ac(bits, component);
            };
            if one {
                samples.iter_mut().take(1).for_each(|sample| *sample = quantization.mean(dc));
                return huffman.skip_ac(bits, component);
            }
            let mut block = quantization.block();
            quantization.set(&mut block, 0, dc);
            scan::read_ac(bits, huffman.ac(component)?, |place, value| quantization.set(&mut block, place, value))?;
            quantization.write(&block, samples, stride);
            Ok(())
        })
    }

    fn read_progressive(
        &mut self,
        data: &[u8],
        position: usize,
        frame: &Frame,
        tables: &Tables,
        scan: &ScanHeader,
    ) -> Result<usize, DecodeError> {
        let huffman = ScanTables::new(tables, frame, scan)?;
        let indices = indices(scan);
        let kept = if self.block_side == 1 { 1 } else { BLOCK_COEFFICIENTS };
        let components = &mut self.components;
        walk(data, position, frame, scan, self.region.units_down(), tables.restart_interval, |bits, state, place| {
            let Place { component, across, down } = place;
            let index = indices.get(component).copied().unwrap_or_default();
            let Some(progress) = components.get_mut(index) else { return Ok(()) };
            let start = (down as usize * progress.blocks_across + across as usize) * kept;
            let Some(block) = progress.coefficients.get_mut(start..start + kept) else { return Ok(()) };
            if scan.first > 0 {
                let (table, empty_blocks) = (huffman.ac(component)?, &mut state.empty_blocks);
                if scan.high == 0 {
                    return scan::read_band(bits, table, empty_blocks, scan, block);
                }
                return scan::refine_band(bits, table, empty_blocks, scan, block);
            }
            let Some(coefficient) = block.first_mut() else { return Ok(()) };
            if scan.high == 0 {
                let dc = huffman.read_dc(bits, state, component)?;
                *coefficient = (dc << scan.low) as i16;
            } else {
                bits.fill();
                *coefficient |= (bits.take(1) << scan.low) as i16;
            }
            Ok(())
        })
    }

    fn finish(mut self, frame: &Frame, tables: &Tables) -> Result<Picture, DecodeError> {
        let known = |progress: &Progress| progress.known.first().is_some_and(Option::is_some);
        if !self.components.iter().all(known) {
            return Err(DecodeError::broken("a component is missing"));
        }
        if frame.progressive {
            let kept = if self.block_side == 1 { 1 } else { BLOCK_COEFFICIENTS };
            for (progress, plane) in self.components.iter().zip(&mut self.planes) {
                progress.write(plane, kept);
            }
        }
        let colours = Colours::of(frame, tables.jfif, tables.adobe);
        let (raster, crop) = plane::raster(frame, &self.region, &self.planes, colours, &self.crop);
        Ok(Picture { raster, crop, orientation: self.orientation, profile: tables.profile() })
    }
}

impl Progress {
    /// Notes what a scan gives. The standard has each bit of each coefficient come once and in order
    /// (G.1.1.1), which bounds the work that scans can make.
    fn advance(&mut self, scan: &ScanHeader) -> Result<(), DecodeError> {
        let expected = (scan.high > 0).then_some(scan.high);
        let band = self.known.get_mut(scan.first..=scan.last).unwrap_or_default();
        if band.iter().any(|known| *known != expected) {
            return Err(DecodeError::broken("a scan comes out of order"));
        }
        band.fill(Some(scan.low));
        Ok(())
    }

    /// Writes the blocks of a progressive picture.
    fn write(&self, plane: &mut Plane, kept: usize) {
        let Some(quantization) = &self.quantization else { return };
        for (down, row) in (0..).zip(self.coefficients.chunks_exact((self.blocks_across * kept).max(1))) {
            for (across, coefficients) in (0..).zip(row.chunks_exact(kept)) {
                let Some((samples, stride)) = plane.block(across, down) else { continue };
                if let [mean] = coefficients {
                    samples.iter_mut().take(1).for_each(|sample| *sample = quantization.mean((*mean).into()));
                    continue;
                }
                let mut block = quantization.block();
                for (place, coefficient) in
                    coefficients.iter().enumerate().filter(|(_, coefficient)| **coefficient != 0)
                {
                    quantization.set(&mut block, place, (*coefficient).into());
                }
                quantization.write(&block, samples, stride);
            }
        }
    }
}

fn indices(scan: &ScanHeader) -> Vec<usize> {
    scan.components.iter().map(|component| component.index).collect()
}

/// Samples a side to which blocks are reduced, so that a picture with this shorter side is not
/// smaller than the thumbnail.
const fn block_side(short: u32) -> u32 {
    match short / THUMBNAIL_SIDE_PIXELS {
        0 | 1 => BLOCK_SAMPLES,
        2 | 3 => 4,
        4..=7 => 2,
        _ => 1,
    }
}
