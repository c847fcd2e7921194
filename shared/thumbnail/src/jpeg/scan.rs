//! One scan: its blocks in their order, with restart markers between (ITU-T T.81, annexes E to G).

use super::bits::Bits;
use super::header::{Component, Frame, ScanComponent, ScanHeader, Tables};
use super::huffman::{Codes, Huffman, Skip, no_code};
use crate::error::DecodeError;

/// Where a block stands.
#[derive(Clone, Copy)]
pub struct Place {
    /// Which of the scan's components.
    pub component: usize,
    /// Column, in blocks.
    pub across: u32,
    /// Row, in blocks.
    pub down: u32,
}

/// What is kept between blocks until the next restart.
#[derive(Default)]
pub struct State {
    /// The last DC coefficient of each of the scan's components.
    pub dc: [i32; 4],
    /// Blocks that have no further coefficients in their band.
    pub empty_blocks: u32,
}

/// Goes over the blocks of a scan from `position` on, as far as the rows that are needed go: whole
/// units up to `units_down`. Gives where it stopped.
///
/// # Errors
/// [`DecodeError`]: those of `block`, and where the data ends or a restart marker is missing.
pub fn walk(
    data: &[u8],
    position: usize,
    frame: &Frame,
    scan: &ScanHeader,
    units_down: u32,
    restart_interval: u32,
    mut block: impl FnMut(&mut Bits, &mut State, Place) -> Result<(), DecodeError>,
) -> Result<usize, DecodeError> {
    let components: Vec<&Component> =
        scan.components.iter().filter_map(|component| frame.components.get(component.index)).collect();
    // A component that is alone has its own blocks one by one (A.2.2), otherwise they come in units.
    let (across, down) = match *components {
        [only] => (only.blocks_across, only.blocks_down.min(units_down * only.down)),
        _ => (frame.units_across, units_down),
    };
    let alone = components.len() == 1;
    let mut bits = Bits::new(data, position);
    let mut state = State::default();
    let (mut left_until_restart, mut restarts) = (restart_interval, 0_u8);
    for y in 0..down {
        for x in 0..across {
            if restart_interval > 0 {
                if left_until_restart == 0 {
                    let position = restart(data, bits.position(), restarts)?;
                    bits = Bits::new(data, position);
                    state = State::default();
                    (left_until_restart, restarts) = (restart_interval, (restarts + 1) % 8);
                }
                left_until_restart -= 1;
            }
            if alone {
                block(&mut bits, &mut state, Place { component: 0, across: x, down: y })?;
            } else {
                for (component, shape) in components.iter().enumerate() {
                    for row in 0..shape.down {
                        for column in 0..shape.across {
                            let (across, down) = (x * shape.across + column, y * shape.down + row);
                            block(&mut bits, &mut state, Place { component, across, down })?;
                        }
                    }
                }
            }
            if bits.is_overrun() {
                return Err(if next_marker(data, bits.position()).is_some() {
                    DecodeError::broken("a scan ends before its blocks do")
                } else {
                    DecodeError::Truncated
                });
            }
        }
    }
    Ok(bits.position())
}

fn restart(data: &[u8], position: usize, expected: u8) -> Result<usize, DecodeError> {
    match next_marker(data, position) {
        Some((marker, position)) if marker == 0xd0 + expected => Ok(position),
        Some(_) => Err(DecodeError::broken("a restart marker is missing")),
        None => Err(DecodeError::Truncated),
    }
}

/// The next marker from `position` on, and where it ends.
pub fn next_marker(data: &[u8], position: usize) -> Option<(u8, usize)> {
    let rest = data.get(position..)?;
    let marker = |at: usize| {
        let code = *rest.get(at + 1)?;
        (!matches!(code, 0 | 0xff)).then_some((code, position + at + 2))
    };
    memchr::memchr_iter(0xff, rest).find_map(marker)
}

/// The Huffman tables of a scan's components.
pub struct ScanTables {
    tables: Vec<ComponentTables>,
}

struct ComponentTables {
    dc: Option<Huffman>,
    ac: Option<(Huffman, Option<Skip>)>,
}

impl ScanTables {
    /// Makes those that the scan needs.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] where one was not given or is wrong.
    pub fn new(tables: &Tables, frame: &Frame, scan: &ScanHeader) -> Result<Self, DecodeError> {
        let make = |codes: &[Option<Codes>; 4], index: usize| {
            let codes = codes.get(index).copied().flatten();
            Huffman::new(codes.ok_or_else(|| DecodeError::broken("a Huffman table is missing"))?)
        };
        let make_all = |component: &ScanComponent| {
            let dc = if scan.first == 0 && scan.high == 0 { Some(make(&tables.dc, component.dc)?) } else { None };
            let ac = if scan.last > 0 { Some(make(&tables.ac, component.ac)?) } else { None };
            // In a progressive picture each coefficient is read.
            let with_skip = |ac| {
                let skip = (!frame.progressive).then(|| Skip::new(&ac));
                (ac, skip)
            };
            Ok(ComponentTables { dc, ac: ac.map(with_skip) })
        };
        Ok(Self { tables: scan.components.iter().map(make_all).collect::<Result<_, DecodeError>>()? })
    }

    /// Reads a DC coefficient of a component as the difference from the one before (F.2.2.1).
    ///
    /// # Errors
    /// [`DecodeError::Broken`].
    #[inline(always)]
    pub fn read_dc(&self, bits: &mut Bits, state: &mut State, component: usize) -> Result<i32, DecodeError> {
        let table = self.tables.get(component).and_then(|tables| tables.dc.as_ref());
        let (Some(table), Some(before)) = (table, state.dc.get_mut(component)) else { return Err(no_code()) };
        read_dc(bits, table, before)
    }

    /// Goes past the AC coefficients of a block of a component in a sequential scan.
    ///
    /// # Errors
    /// [`DecodeError::Broken`].
    #[inline(always)]
    pub fn skip_ac(&self, bits: &mut Bits, component: usize) -> Result<(), DecodeError> {
        match self.tables.get(component).and_then(|tables| tables.ac.as_ref()) {
            Some((table, Some(skip))) => skip.run(bits, table),
            _ => Err(no_code()),
        }
    }

    /// The table for the AC coefficients of a component.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] where the scan has none.
    #[inline(always)]
    pub fn ac(&self, component: usize) -> Result<&Huffman, DecodeError> {
        let table = self.tables.get(component).and_then(|tables| tables.ac.as_ref());
        table.map(|(table, _)| table).ok_or_else(no_code)
    }
}

#[inline(always)]
fn read_dc(bits: &mut Bits, table: &Huffman, before: &mut i32) -> Result<i32, DecodeError> {
    bits.fill();
    let (size, length) = table.peek(bits).ok_or_else(no_code)?;
    if size > 15 {
        return Err(no_code());
    }
    bits.skip(length);
    *before = before.wrapping_add(bits.take_signed(size));
    Ok(*before)
}

/// Reads the AC coefficients of a block in a sequential scan (F.2.2.2).
///
/// # Errors
/// [`DecodeError::Broken`].
#[inline(always)]
pub fn read_ac(bits: &mut Bits, table: &Huffman, mut set: impl FnMut(usize, i32)) -> Result<(), DecodeError> {
    let mut place = 1;
    while place < 64 {
        bits.fill();
        let (symbol, length) = table.peek(bits).ok_or_else(no_code)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        bits.skip(length);
        if size == 0 {
            if zeros < 15 {
                break;
            }
        } else {
            let value = bits.take_signed(size);
            set(place + zeros as usize, value);
        }
        place += zeros as usize + 1;
    }
    Ok(())
}

/// Reads the first bits of a band of AC coefficients of a block (G.1.2.2).
///
/// # Errors
/// [`DecodeError::Broken`].
pub fn read_band(
    bits: &mut Bits,
    table: &Huffman,
    empty_blocks: &mut u32,
    scan: &ScanHeader,
    block: &mut [i16],
) -> Result<(), DecodeError> {
    if *empty_blocks > 0 {
        *empty_blocks -= 1;
        return Ok(());
    }
    let mut place = scan.first;
    while place <= scan.last {
        bits.fill();
        let (symbol, length) = table.peek(bits).ok_or_else(no_code)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        bits.skip(length);
        if size == 0 {
            if zeros < 15 {
                *empty_blocks = (1 << zeros) - 1 + bits.take(zeros);
                break;
            }
        } else {
            let value = bits.take_signed(size) << scan.low;
            if let Some(coefficient) = block.get_mut(place + zeros as usize) {
                *coefficient = value as i16;
            }
        }
        place += zeros as usize + 1;
    }
    Ok(())
}

/// Reads one more bit of a band of AC coefficients of a block (G.1.2.3).
///
/// # Errors
/// [`DecodeError::Broken`].
pub fn refine_band(
    bits: &mut Bits,
    table: &Huffman,
    empty_blocks: &mut u32,
    scan: &ScanHeader,
    block: &mut [i16],
) -> Result<(), DecodeError> {
    let bit = 1_i16 << scan.low;
    let Some(band) = block.get_mut(scan.first..=scan.last) else { return Ok(()) };
    let mut coefficients = band.iter_mut();
    while *empty_blocks == 0 && coefficients.len() > 0 {
        bits.fill();
        let (symbol, length) = table.peek(bits).ok_or_else(no_code)?;
        let (mut zeros, size) = (symbol >> 4, symbol & 15);
        bits.skip(length);
        let value = match size {
            0 if zeros < 15 => {
                *empty_blocks = (1 << zeros) + bits.take(zeros);
                break;
            }
            0 => 0,
            1 if bits.take(1) == 1 => bit,
            1 => -bit,
            _ => return Err(no_code()),
        };
        for coefficient in coefficients.by_ref() {
            if *coefficient != 0 {
                refine(bits, coefficient, bit);
            } else if zeros > 0 {
                zeros -= 1;
            } else {
                *coefficient = value;
                break;
            }
        }
    }
    if *empty_blocks > 0 {
        *empty_blocks -= 1;
        coefficients.filter(|coefficient| **coefficient != 0).for_each(|coefficient| refine(bits, coefficient, bit));
    }
    Ok(())
}

#[inline(always)]
fn refine(bits: &mut Bits, coefficient: &mut i16, bit: i16) {
    bits.fill();
    if bits.take(1) == 1 && *coefficient & bit == 0 {
        *coefficient = coefficient.wrapping_add(if *coefficient > 0 { bit } else { -bit });
    }
}
