//! How a picture is to be turned: the tag Orientation of EXIF.

/// One of the eight orientations (Exif 3.0, section 4.6.5.1.7). A picture's stored rows are turned
/// by what this says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Orientation {
    /// Columns become rows: done first.
    transposed: bool,
    /// Then left and right are exchanged.
    mirrored_x: bool,
    /// Then top and bottom.
    mirrored_y: bool,
}

/// The tag's number.
const ORIENTATION: u16 = 0x0112;
/// The type of its value: an unsigned 16-bit number.
const SHORT: u16 = 3;
/// What may come before the TIFF header.
const PREFIX: &[u8] = b"Exif\0\0";
/// Entries of the first directory that are looked at.
const ENTRIES_MAX: u16 = 1000;

impl Orientation {
    /// As it is stored.
    pub const UPRIGHT: Self = Self { transposed: false, mirrored_x: false, mirrored_y: false };

    /// Reads the tag's value, 1 to 8.
    pub fn from_exif_value(value: u16) -> Option<Self> {
        let (transposed, mirrored_x, mirrored_y) = match value {
            1 => (false, false, false),
            2 => (false, true, false),
            3 => (false, true, true),
            4 => (false, false, true),
            5 => (true, false, false),
            6 => (true, true, false),
            7 => (true, true, true),
            8 => (true, false, true),
            _ => return None,
        };
        Some(Self { transposed, mirrored_x, mirrored_y })
    }

    /// Reads the tag of an EXIF block, with or without `Exif\0\0` before it. If it is absent, or
    /// anything is not as it must be, the picture is upright. Only the first directory is looked
    /// at, once, so that offsets that lead in circles lead nowhere.
    pub fn from_exif(exif: &[u8]) -> Self {
        Self::find(exif.strip_prefix(PREFIX).unwrap_or(exif)).unwrap_or(Self::UPRIGHT)
    }

    fn find(tiff: &[u8]) -> Option<Self> {
        let little = match tiff.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let short = |at: usize| {
            let bytes = tiff.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
        };
        let long = |at: usize| {
            let bytes = tiff.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
        };
        let directory = usize::try_from(long(4)?).ok()?;
        let entries = short(directory)?.min(ENTRIES_MAX);
        for entry in 0..usize::from(entries) {
            let at = directory.checked_add(2 + entry * 12)?;
            if short(at)? == ORIENTATION && short(at + 2)? == SHORT && long(at + 4)? == 1 {
                return Self::from_exif_value(short(at + 8)?);
            }
        }
        None
    }

    /// Whether what is the end of the stored picture, across and downwards, becomes a start.
    pub fn counts_from_end(self) -> (bool, bool) {
        if self.transposed { (self.mirrored_y, self.mirrored_x) } else { (self.mirrored_x, self.mirrored_y) }
    }

    /// Turns a square of pixels, three bytes each.
    pub fn turn(self, pixels: Vec<[u8; 3]>, side: usize) -> Vec<[u8; 3]> {
        if self == Self::UPRIGHT {
            return pixels;
        }
        let last = side.saturating_sub(1);
        let places = (0..side).flat_map(|y| (0..side).map(move |x| (x, y)));
        let pixel = |(x, y)| {
            let x = if self.mirrored_x { last - x } else { x };
            let y = if self.mirrored_y { last - y } else { y };
            let (x, y) = if self.transposed { (y, x) } else { (x, y) };
            pixels.get(y * side + x).copied().unwrap_or_default()
        };
        places.map(pixel).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exif(little: bool, tag: u16, kind: u16, count: u32, value: u16) -> Vec<u8> {
        let short = |value: u16| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let long = |value: u32| if little { value.to_le_bytes() } else { value.to_be_bytes() };
        let mut bytes = if little { b"II".to_vec() } else { b"MM".to_vec() };
        bytes.extend(short(42));
        bytes.extend(long(8));
        bytes.extend(short(1));
        bytes.extend(short(tag));
        bytes.extend(short(kind));
        bytes.extend(long(count));
        bytes.extend(short(value));
        bytes.extend(short(0));
        bytes.extend(long(8));
        bytes
    }

    #[test]
    fn each_value_turns_as_the_standard_says() {
        // A square of 2 x 2: a b / c d. Where its corners go is the table of Exif 3.0.
        let [a, b, c, d] = [[1; 3], [2; 3], [3; 3], [4; 3]];
        let expected = [
            (1, [a, b, c, d]),
            (2, [b, a, d, c]),
            (3, [d, c, b, a]),
            (4, [c, d, a, b]),
            (5, [a, c, b, d]),
            (6, [c, a, d, b]),
            (7, [d, b, c, a]),
            (8, [b, d, a, c]),
        ];
        for (value, turned) in expected {
            let orientation = Orientation::from_exif_value(value).unwrap();
            assert_eq!(orientation.turn(vec![a, b, c, d], 2), turned, "{value}");
        }
        assert_eq!(Orientation::from_exif_value(0), None);
        assert_eq!(Orientation::from_exif_value(9), None);
    }

    #[test]
    fn the_tag_is_found_in_both_byte_orders() {
        for little in [true, false] {
            let block = exif(little, 0x0112, 3, 1, 6);
            assert_eq!(Orientation::from_exif(&block), Orientation::from_exif_value(6).unwrap());
            let prefixed = [b"Exif\0\0", &block[..]].concat();
            assert_eq!(Orientation::from_exif(&prefixed), Orientation::from_exif_value(6).unwrap());
        }
    }

    #[test]
    fn whatever_else_is_there_leaves_it_upright() {
        for block in [exif(true, 0x0113, 3, 1, 6), exif(true, 0x0112, 4, 1, 6), exif(true, 0x0112, 3, 2, 6)] {
            assert_eq!(Orientation::from_exif(&block), Orientation::UPRIGHT);
        }
        let whole = exif(true, 0x0112, 3, 1, 6);
        for length in 0..whole.len() - 6 {
            assert_eq!(Orientation::from_exif(&whole[..length]), Orientation::UPRIGHT, "{length}");
        }
        for offset in [0, 1, 26, u32::MAX - 1, u32::MAX] {
            let mut block = whole.clone();
            block[4..8].copy_from_slice(&u32::to_le_bytes(offset));
            assert_eq!(Orientation::from_exif(&block), Orientation::UPRIGHT, "{offset}");
        }
    }
}
