//! The segments before and between scans (ITU-T T.81, annex B).

use super::huffman::Codes;
use crate::error::DecodeError;
use crate::picture::Size;

/// Samples of a block, across and downwards.
pub const BLOCK_SAMPLES: u32 = 8;

/// What a frame header says (annex B.2.2).
pub struct Frame {
    /// Of the picture.
    pub size: Size,
    /// Whether its coefficients come in several scans.
    pub progressive: bool,
    /// Brightness and colours: one, three or four.
    pub components: Vec<Component>,
    /// The largest factor of a component, across.
    pub across_max: u32,
    /// The largest factor of a component, downwards.
    pub down_max: u32,
    /// Minimum coded units (all components together), across.
    pub units_across: u32,
}

/// One component of a frame.
pub struct Component {
    /// What scans name it by.
    pub id: u8,
    /// Blocks of a unit, across: 1 to 4.
    pub across: u32,
    /// Blocks of a unit, downwards: 1 to 4.
    pub down: u32,
    /// Number of the quantization table: 0 to 3.
    pub quantization: usize,
    /// Blocks across, if the component is alone in a scan.
    pub blocks_across: u32,
    /// The same, downwards.
    pub blocks_down: u32,
}

/// What a scan header says (annex B.2.3).
pub struct ScanHeader {
    pub components: Vec<ScanComponent>,
    /// The first coefficient, in zigzag order.
    pub first: usize,
    pub last: usize,
    /// The lowest bit that earlier scans have given, 0 for the first.
    pub high: u8,
    /// The lowest bit that this one gives.
    pub low: u8,
}

pub struct ScanComponent {
    /// Which of the frame's.
    pub index: usize,
    /// Number of the Huffman table for DC: 0 to 3.
    pub dc: usize,
    /// Number of the Huffman table for AC: 0 to 3.
    pub ac: usize,
}

/// The values of the other segments, the last of each.
#[derive(Default)]
pub struct Tables<'a> {
    /// In zigzag order.
    pub quantization: [Option<[u16; 64]>; 4],
    /// Huffman codes for DC. Tables are made of them where a scan needs one.
    pub dc: [Option<Codes<'a>>; 4],
    /// Huffman codes for AC.
    pub ac: [Option<Codes<'a>>; 4],
    /// Units between restart markers, 0 for none.
    pub restart_interval: u32,
    /// Whether there is a JFIF header.
    pub jfif: bool,
    /// The colour transform of an Adobe header.
    pub adobe: Option<u8>,
    /// The EXIF block.
    pub exif: Option<&'a [u8]>,
    /// The ICC profile's pieces: number, and bytes.
    pub profile: Vec<(u8, &'a [u8])>,
}

impl Frame {
    /// Reads a frame header.
    ///
    /// # Errors
    /// [`DecodeError`]: also for what other decoders know but hardly any picture has.
    pub fn parse(marker: u8, segment: &[u8]) -> Result<Self, DecodeError> {
        let progressive = match marker {
            0xc0 | 0xc1 => false,
            0xc2 => true,
            0xc3 => return Err(DecodeError::Unsupported("lossless JPEG")),
            0xc9..=0xcb => return Err(DecodeError::Unsupported("arithmetic coding")),
            _ => return Err(DecodeError::Unsupported("hierarchical JPEG")),
        };
        let ([precision, y0, y1, x0, x1, count], rest) =
            segment.split_first_chunk().ok_or_else(|| DecodeError::broken("a frame header is too short"))?;
        if *precision != 8 {
            return Err(DecodeError::Unsupported("samples that have not eight bits"));
        }
        let size = Size::new(u16::from_be_bytes([*x0, *x1]).into(), u16::from_be_bytes([*y0, *y1]).into())?;
        let (specified, []) = rest.as_chunks::<3>() else {
            return Err(DecodeError::broken("a frame header has a wrong length"));
        };
        if specified.len() != usize::from(*count) || ![1, 3, 4].contains(count) {
            return Err(DecodeError::Unsupported("other than one, three or four components"));
        }
        let factors = specified.iter().map(|[_, factors, _]| (u32::from(factors >> 4), u32::from(factors & 15)));
        if factors.clone().any(|(across, down)| !(1..=4).contains(&across) || !(1..=4).contains(&down)) {
            return Err(DecodeError::broken("a sampling factor is not 1 to 4"));
        }
        let across_max = factors.clone().map(|(across, _)| across).max().unwrap_or(1);
        let down_max = factors.clone().map(|(_, down)| down).max().unwrap_or(1);
        let component = |(&[id, _, quantization], (across, down)): (&[u8; 3], (u32, u32))| Component {
            id,
            across,
            down,
            quantization: quantization.into(),
            blocks_across: (size.width * across).div_ceil(across_max * BLOCK_SAMPLES),
            blocks_down: (size.height * down).div_ceil(down_max * BLOCK_SAMPLES),
        };
        Ok(Self {
            size,
            progressive,
            components: specified.iter().zip(factors).map(component).collect(),
            across_max,
            down_max,
            units_across: size.width.div_ceil(across_max * BLOCK_SAMPLES),
        })
    }
}

impl ScanHeader {
    /// Reads a scan header.
    ///
    /// # Errors
    /// [`DecodeError::Broken`].
    pub fn parse(segment: &[u8], frame: &Frame) -> Result<Self, DecodeError> {
        let broken = || DecodeError::broken("a scan header is not as it must be");
        let (count, rest) = segment.split_first().ok_or_else(broken)?;
        let (components, [first, last, bits]) = rest.split_at_checked(2 * usize::from(*count)).ok_or_else(broken)?
        else {
            return Err(broken());
        };
        let (components, _) = components.as_chunks::<2>();
        let find = |[id, tables]: &[u8; 2]| {
            let index = frame.components.iter().position(|component| component.id == *id)?;
            Some(ScanComponent { index, dc: usize::from(tables >> 4), ac: usize::from(tables & 15) })
        };
        let components: Vec<ScanComponent> = components.iter().map(find).collect::<Option<_>>().ok_or_else(broken)?;
        let twice =
            |(place, one): (usize, &ScanComponent)| components.iter().skip(place + 1).any(|two| two.index == one.index);
        if !(1..=4).contains(&components.len()) || components.iter().enumerate().any(twice) {
            return Err(broken());
        }
        let blocks = |one: &ScanComponent| {
            frame.components.get(one.index).map_or(0, |component| component.across * component.down)
        };
        if components.len() > 1 && components.iter().map(blocks).sum::<u32>() > 10 {
            return Err(DecodeError::broken("a unit has more than ten blocks"));
        }
        let mut scan =
            Self { components, first: (*first).into(), last: (*last).into(), high: bits >> 4, low: bits & 15 };
        if frame.progressive {
            let bands = if scan.first == 0 {
                scan.last == 0
            } else {
                scan.first <= scan.last && scan.last < 64 && scan.components.len() == 1
            };
            if !bands || scan.low > 13 || (scan.high != 0 && scan.high != scan.low + 1) {
                return Err(broken());
            }
        } else {
            // Whatever is said there: a sequential picture's scans have all coefficients.
            (scan.first, scan.last, scan.high, scan.low) = (0, 63, 0, 0);
        }
        Ok(scan)
    }
}

impl<'a> Tables<'a> {
    /// Takes what a segment between scans says.
    ///
    /// # Errors
    /// [`DecodeError::Broken`].
    pub fn read(&mut self, marker: u8, segment: &'a [u8]) -> Result<(), DecodeError> {
        match marker {
            0xc4 => self.read_huffman(segment),
            0xcc => Err(DecodeError::Unsupported("arithmetic coding")),
            0xdb => self.read_quantization(segment),
            0xdc => Err(DecodeError::Unsupported("a height that comes after the picture")),
            0xdd => {
                let interval =
                    segment.try_into().map_err(|_| DecodeError::broken("a restart interval is no number"))?;
                self.restart_interval = u16::from_be_bytes(interval).into();
                Ok(())
            }
            0xde | 0xdf => Err(DecodeError::Unsupported("hierarchical JPEG")),
            0xe0 if segment.starts_with(b"JFIF\0") => {
                self.jfif = true;
                Ok(())
            }
            0xe1 if segment.starts_with(b"Exif\0") && self.exif.is_none() => {
                self.exif = Some(segment);
                Ok(())
            }
            0xe2 => {
                // Number and count of the pieces are a byte each (ICC.1, annex B.4).
                if let Some([number, _, piece @ ..]) = segment.strip_prefix(b"ICC_PROFILE\0") {
                    self.profile.push((*number, piece));
                }
                Ok(())
            }
            0xee if segment.starts_with(b"Adobe") => {
                self.adobe = segment.get(11).copied();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn read_quantization(&mut self, mut segment: &[u8]) -> Result<(), DecodeError> {
        let broken = || DecodeError::broken("a quantization table is not as it must be");
        while let Some((head, rest)) = segment.split_first() {
            let bytes = if head >> 4 == 0 { 64 } else { 128 };
            let (values, rest) = rest.split_at_checked(bytes).ok_or_else(broken)?;
            let mut table = [0; 64];
            if bytes == 64 {
                table.iter_mut().zip(values).for_each(|(entry, value)| *entry = u16::from(*value));
            } else {
                let (values, _) = values.as_chunks::<2>();
                table.iter_mut().zip(values).for_each(|(entry, value)| *entry = u16::from_be_bytes(*value));
            }
            *self.quantization.get_mut(usize::from(head & 15)).ok_or_else(broken)? = Some(table);
            segment = rest;
        }
        Ok(())
    }

    fn read_huffman(&mut self, mut segment: &'a [u8]) -> Result<(), DecodeError> {
        let broken = || DecodeError::broken("a Huffman table is not as it must be");
        while let Some((head, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(broken)?;
            let count = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(count).ok_or_else(broken)?;
            let tables = match head >> 4 {
                0 => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(broken()),
            };
            let table = tables.get_mut(usize::from(head & 15)).ok_or_else(broken)?;
            *table = Some(Codes { counts, symbols });
            segment = rest;
        }
        Ok(())
    }

    /// The ICC profile, where all its pieces are there.
    pub fn profile(&self) -> Option<Vec<u8>> {
        let mut pieces = self.profile.clone();
        pieces.sort_by_key(|(number, _)| *number);
        let whole = pieces.iter().zip(1_u16..).all(|((number, _), expected)| u16::from(*number) == expected);
        (whole && !pieces.is_empty()).then(|| pieces.into_iter().flat_map(|(_, piece)| piece).copied().collect())
    }
}
