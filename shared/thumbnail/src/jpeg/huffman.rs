//! Huffman tables (ITU-T T.81, annexes C and F.2.2.3).

use super::bits::Bits;
use crate::error::DecodeError;

/// Codes up to this length are looked up in one step.
const LOOKUP_BITS: u32 = 10;
/// Longest code.
const CODE_MAX_BITS: u32 = 16;
/// So many bits are looked at to go past coefficients.
const SKIP_BITS: u32 = 12;
/// In an entry of [`Skip`]: the length.
const SKIP_LENGTH: u16 = 0x1f;
/// In an entry of [`Skip`]: whether the block ends there.
const SKIP_END: u16 = 0x20;
/// In an entry of [`Skip`]: where the coefficients begin.
const SKIP_COEFFICIENTS_SHIFT: u32 = 6;
const BLOCK_COEFFICIENTS: u32 = 64;

/// A table as it stands in its segment.
#[derive(Clone, Copy)]
pub struct Codes<'a> {
    /// How many codes of each length there are.
    pub counts: &'a [u8; 16],
    /// Their symbols, in order.
    pub symbols: &'a [u8],
}

/// A table to decode by.
pub struct Huffman {
    /// For every [`LOOKUP_BITS`] bits: the symbol that they start with, and above it the length of
    /// its code, 0 if that is longer.
    lookup: Box<[u16; 1 << LOOKUP_BITS]>,
    /// For codes of each length above that, from the shortest: the first 16 bits that are no code of
    /// this length or a shorter one, and what to add to a code for its symbol's place.
    longer: [(u32, i32); (CODE_MAX_BITS - LOOKUP_BITS) as usize],
    symbols: Vec<u8>,
}

impl Huffman {
    /// Makes a table.
    ///
    /// # Errors
    /// [`DecodeError::Broken`] where there are more codes than a length has.
    pub fn new(Codes { counts, symbols }: Codes) -> Result<Self, DecodeError> {
        let mut table =
            Self { lookup: Box::new([0; 1 << LOOKUP_BITS]), longer: Default::default(), symbols: symbols.to_vec() };
        let mut unplaced = symbols.iter();
        let (mut code, mut placed) = (0_u32, 0_u32);
        for (length, &count) in (1..=CODE_MAX_BITS).zip(counts) {
            let end = code + u32::from(count);
            if end > 1 << length {
                return Err(DecodeError::broken("a Huffman table has too many codes"));
            }
            if length <= LOOKUP_BITS {
                let spread = 1_usize << (LOOKUP_BITS - length);
                for (place, &symbol) in
                    (code as usize * spread..).step_by(spread).zip(unplaced.by_ref().take(count.into()))
                {
                    let entry = (length as u16) << 8 | u16::from(symbol);
                    if let Some(entries) = table.lookup.get_mut(place..place + spread) {
                        entries.fill(entry);
                    }
                }
            } else if let Some(longer) = table.longer.get_mut((length - LOOKUP_BITS - 1) as usize) {
                *longer = (end << (CODE_MAX_BITS - length), placed as i32 - code as i32);
            }
            placed += u32::from(count);
            code = end << 1;
        }
        Ok(table)
    }

    /// The next symbol and the length of its code, whose bits stay there; 16 are filled in. Bits
    /// that are no code count as symbol 0 of 16 bits, with `None`.
    #[inline(always)]
    pub fn peek(&self, bits: &Bits) -> Option<(u32, u32)> {
        let entry = self.lookup.get(bits.peek(LOOKUP_BITS) as usize).copied().unwrap_or_default();
        let (symbol, length) = (u32::from(entry & 0xff), u32::from(entry >> 8));
        if length > 0 { Some((symbol, length)) } else { self.peek_longer(bits) }
    }

    #[cold]
    fn peek_longer(&self, bits: &Bits) -> Option<(u32, u32)> {
        let next = bits.peek(CODE_MAX_BITS);
        let mut longer = (LOOKUP_BITS + 1..).zip(&self.longer);
        let (length, (_, offset)) = longer.find(|(_, (end, _))| next < *end)?;
        let place = (next >> (CODE_MAX_BITS - length)) as i32 + offset;
        let symbol = self.symbols.get(usize::try_from(place).ok()?)?;
        Some((u32::from(*symbol), length))
    }
}

/// Goes past the AC coefficients of blocks, several in a step: of all that [`SKIP_BITS`] bits can
/// start with, how many coefficients they are and how long.
pub struct Skip(Box<[u16; 1 << SKIP_BITS]>);

impl Skip {
    /// For codes of this table.
    pub fn new(table: &Huffman) -> Self {
        let mut entries = Box::new([0; 1 << SKIP_BITS]);
        for (window, entry) in (0_u32..).zip(entries.iter_mut()) {
            let (mut bits, mut coefficients, mut end) = (0, 0, false);
            while bits < SKIP_BITS && !end {
                // What is past the window counts as zeros, and not as a code.
                let next = window << (bits + u32::BITS - SKIP_BITS) >> (u32::BITS - LOOKUP_BITS);
                let code = table.lookup.get(next as usize).copied().unwrap_or_default();
                let (symbol, length) = (u32::from(code & 0xff), u32::from(code >> 8));
                let (zeros, size) = (symbol >> 4, symbol & 15);
                end = size == 0 && zeros < 15;
                let past = if end { 0 } else { zeros + 1 };
                if length == 0 || bits + length > SKIP_BITS || coefficients + past >= BLOCK_COEFFICIENTS {
                    end = false;
                    break;
                }
                coefficients += past;
                bits += length + size;
            }
            if bits > 0 {
                let end = if end { SKIP_END } else { 0 };
                *entry = (coefficients << SKIP_COEFFICIENTS_SHIFT) as u16 | end | bits as u16;
            }
        }
        Self(entries)
    }

    /// Goes past what is left of a block.
    ///
    /// # Errors
    /// [`DecodeError::Broken`].
    #[inline(always)]
    pub fn run(&self, bits: &mut Bits, table: &Huffman) -> Result<(), DecodeError> {
        let mut place = 1;
        while place < BLOCK_COEFFICIENTS {
            bits.fill();
            let entry = self.0.get(bits.peek(SKIP_BITS) as usize).copied().unwrap_or_default();
            let next = place + u32::from(entry >> SKIP_COEFFICIENTS_SHIFT);
            if entry != 0 && next < BLOCK_COEFFICIENTS {
                bits.skip(u32::from(entry & SKIP_LENGTH));
                if entry & SKIP_END != 0 {
                    return Ok(());
                }
                place = next;
            } else {
                place += Self::run_one(bits, table)?;
            }
        }
        Ok(())
    }

    /// Goes past one symbol, which has a long code or is the block's last.
    fn run_one(bits: &mut Bits, table: &Huffman) -> Result<u32, DecodeError> {
        let (symbol, length) = table.peek(bits).ok_or_else(no_code)?;
        let (zeros, size) = (symbol >> 4, symbol & 15);
        bits.skip(length + size);
        Ok(if size == 0 && zeros < 15 { BLOCK_COEFFICIENTS } else { zeros + 1 })
    }
}

/// What bits are that no code starts.
#[cold]
pub fn no_code() -> DecodeError {
    DecodeError::broken("a Huffman code that is none")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(table: &Huffman, data: &[u8]) -> Option<(u32, u32)> {
        let mut bits = Bits::new(data, 0);
        bits.fill();
        table.peek(&bits)
    }

    #[test]
    fn short_and_long_codes_are_found() {
        // 0, 10, 110 …: one code of each length, the last of 16 bits.
        let symbols: Vec<u8> = (1..=16).collect();
        let table = Huffman::new(Codes { counts: &[1; 16], symbols: &symbols }).unwrap();
        for length in 1..=16_u32 {
            let code = (0xffff_u32 << (17 - length)) as u16;
            let stuffed: Vec<u8> = code
                .to_be_bytes()
                .into_iter()
                .flat_map(|byte| if byte == 0xff { vec![0xff, 0] } else { vec![byte] })
                .collect();
            assert_eq!(decode(&table, &stuffed), Some((length, length)), "{length}");
        }
        assert_eq!(decode(&table, &[0xff, 0, 0xff, 0]), None);
    }

    #[test]
    fn more_codes_than_there_are_is_an_error() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert!(Huffman::new(Codes { counts: &counts, symbols: &[1, 2, 3] }).is_err());
        assert!(Huffman::new(Codes { counts: &[2; 16], symbols: &[0; 32] }).is_err());
    }

    #[test]
    fn an_empty_table_decodes_nothing() {
        assert_eq!(decode(&Huffman::new(Codes { counts: &[0; 16], symbols: &[] }).unwrap(), &[0; 8]), None);
    }
}
