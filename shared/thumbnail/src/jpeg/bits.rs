//! The bits of one entropy-coded segment (ITU-T T.81, annex F.2.2.5).

/// Reads bits up to the next marker. Past it there are zeros, as many as are asked for, which
/// [`Bits::is_overrun`] shows.
pub struct Bits<'a> {
    data: &'a [u8],
    /// Where in `data` the next byte is.
    position: usize,
    /// The bits read ahead, from the highest.
    ahead: u64,
    /// How many they are.
    ahead_bits: u32,
    /// How many of these stand past the marker.
    padding_bits: u32,
}

impl<'a> Bits<'a> {
    /// Starts at `position`.
    pub const fn new(data: &'a [u8], position: usize) -> Self {
        Self { data, position, ahead: 0, ahead_bits: 0, padding_bits: 0 }
    }

    /// Sees to it that 32 bits at least are there.
    #[inline(always)]
    pub fn fill(&mut self) {
        if self.ahead_bits >= 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.position..).and_then(|rest| rest.first_chunk::<4>()) {
            let word = u32::from_be_bytes(*bytes);
            // Whether no byte is 0xff: none of the complement's is zero.
            let complement = !word;
            if complement.wrapping_sub(0x0101_0101) & !complement & 0x8080_8080 == 0 {
                self.ahead |= u64::from(word) << (32 - self.ahead_bits);
                self.ahead_bits += 32;
                self.position += 4;
                return;
            }
        }
        self.fill_by_bytes();
    }

    #[cold]
    fn fill_by_bytes(&mut self) {
        while self.ahead_bits <= 56 {
            let byte = match (self.data.get(self.position), self.data.get(self.position + 1)) {
                (Some(0xff), Some(0)) => {
                    self.position += 2;
                    0xff
                }
                (Some(0xff), _) | (None, _) => {
                    self.padding_bits += 8;
                    0
                }
                (Some(&byte), _) => {
                    self.position += 1;
                    byte
                }
            };
            self.ahead |= u64::from(byte) << (56 - self.ahead_bits);
            self.ahead_bits += 8;
        }
    }

    /// The next `count` bits, 1 to 32, which stay there. [`Bits::fill`] has been called for them.
    #[inline(always)]
    pub const fn peek(&self, count: u32) -> u32 {
        (self.ahead >> (64 - count)) as u32
    }

    /// Goes past `count` bits, at most those that are filled in.
    #[inline(always)]
    pub const fn skip(&mut self, count: u32) {
        self.ahead <<= count;
        self.ahead_bits = self.ahead_bits.wrapping_sub(count);
    }

    /// Takes `count` bits, 0 to 16, which are filled in.
    #[inline(always)]
    pub const fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        let bits = self.peek(count);
        self.skip(count);
        bits
    }

    /// Takes a number of `size` bits, 0 to 15, in the way of annex F.2.2.1 (EXTEND).
    #[inline(always)]
    pub const fn take_signed(&mut self, size: u32) -> i32 {
        let bits = self.take(size) as i32;
        // Where the first bit is 0 the number is negative.
        if size > 0 && bits < 1 << (size - 1) { bits - (1 << size) + 1 } else { bits }
    }

    /// Whether more has been taken than there is before the marker.
    #[inline(always)]
    pub const fn is_overrun(&self) -> bool {
        self.ahead_bits < self.padding_bits
    }

    /// Where the bytes stand that have not been looked at: never past the next marker.
    pub const fn position(&self) -> usize {
        self.position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffed_zeros_are_left_out_and_markers_end_the_bits() {
        let mut bits = Bits::new(&[0x12, 0xff, 0x00, 0x34, 0xff, 0xd9, 0x77], 0);
        bits.fill();
        assert_eq!(bits.take(8), 0x12);
        assert_eq!(bits.take(16), 0xff34);
        assert!(!bits.is_overrun());
        bits.fill();
        assert_eq!(bits.take(1), 0);
        assert!(bits.is_overrun());
        assert_eq!(bits.position(), 4);
    }

    #[test]
    fn words_and_single_bytes_give_the_same() {
        let data: Vec<u8> = (0..=254).collect();
        let mut bits = Bits::new(&data, 0);
        for byte in 0..=254 {
            bits.fill();
            assert_eq!(bits.take(3) << 5 | bits.take(5), byte);
        }
        assert!(!bits.is_overrun());
    }

    #[test]
    fn signed_numbers_are_extended() {
        let mut bits = Bits::new(&[0b0100_0110, 0b1100_0111, 0, 0], 0);
        bits.fill();
        let sizes = [1, 1, 2, 2, 2, 2, 3, 3, 0];
        assert_eq!(sizes.map(|size| bits.take_signed(size)), [-1, 1, -3, -2, 2, 3, -7, 7, 0]);
    }
}
