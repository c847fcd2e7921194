//! Whether bytes are text: a check of a whole file, as it streams by.

/// Bytes of the longest character of UTF-8 but its last one: what is longer and no character is not UTF-8.
const CUT_MAX_BYTES: usize = 3;

/// Judges whether bytes are text: UTF-8 without NUL, at most a third of its characters other control characters than
/// white space. A unit separator or an escape sequence is as much text as a comma; binary data consists of bytes that
/// are neither. The third is that of Perl's [`-T`](https://perldoc.perl.org/functions/-X). UTF-16 is not text here:
/// no consumer of a parts list could tell it from binary data.
#[derive(Debug, Default)]
pub struct TextCheck {
    characters: u64,
    controls: u64,
    /// The first bytes of a character that the bytes until now end in.
    cut: Vec<u8>,
    is_binary: bool,
}

impl TextCheck {
    /// Takes the next bytes. `false` once no bytes that follow can make it text.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if self.is_binary {
            return false;
        }
        let mut bytes = bytes;
        let joined;
        if !self.cut.is_empty() {
            joined = [self.cut.as_slice(), bytes].concat();
            bytes = &joined;
        }
        let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        for character in text.chars() {
            self.characters += 1;
            self.controls += u64::from(character.is_control() && !character.is_whitespace());
            self.is_binary |= character == '\0';
        }
        let cut = bytes.get(text.len()..).unwrap_or_default();
        self.is_binary |= cut.len() > CUT_MAX_BYTES;
        self.cut = if self.is_binary { Vec::new() } else { cut.to_vec() };
        !self.is_binary
    }

    /// Whether the bytes are text, now that there are no more.
    #[must_use]
    pub fn finish(&self) -> bool {
        !self.is_binary && self.cut.is_empty() && self.controls <= self.characters / 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The verdict on pieces of these lengths, in turn.
    fn is_text(bytes: &[u8], lengths: &[usize]) -> bool {
        let (mut check, mut rest) = (TextCheck::default(), bytes);
        for length in lengths.iter().cycle() {
            let (piece, after) = rest.split_at((*length).min(rest.len()));
            if !check.push(piece) || after.is_empty() {
                break;
            }
            rest = after;
        }
        check.finish()
    }

    #[test]
    fn a_control_character_does_not_make_a_text_binary() {
        for text in ["3001\u{1f}4\n", "\u{1b}[31mred\u{1b}[0m", "3001\u{1f}4\u{1e}3002\u{1f}7\u{1e}", "it\u{92}s", ""] {
            assert!(is_text(text.as_bytes(), &[100]), "{text:?}");
        }
    }

    #[test]
    fn more_than_a_third_of_control_characters_does() {
        assert!(is_text("ab\u{1}".repeat(1_000).as_bytes(), &[7]));
        assert!(!is_text(format!("\u{2}{}", "ab\u{1}".repeat(1_000)).as_bytes(), &[7]));
        // Judged at the end: no piece decides.
        assert!(is_text(format!("{}{}", "\u{1}".repeat(100), "x".repeat(200)).as_bytes(), &[100]));
    }

    #[test]
    fn a_nul_byte_is_found_wherever_it_is() {
        for at in [0, 511, 512, 70_000, 99_999] {
            let mut bytes = "é".repeat(50_000).into_bytes();
            assert!(is_text(&bytes, &[4_096]));
            bytes.splice(at - at % 2..at - at % 2, [0]);
            assert!(!is_text(&bytes, &[4_096]), "{at}");
        }
        let utf_16: Vec<u8> = "\u{feff}parts".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(!is_text(&utf_16, &[100]));
    }

    #[test]
    fn what_cannot_become_text_is_known_at_once() {
        let mut check = TextCheck::default();
        assert!(check.push(b"MZ"));
        assert!(!check.push(b"\x90\x00\x03\x00"));
        assert!(!check.push(b"text"));
        assert!(!check.finish());
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                "[a-zé×🏰\u{1}\u{1b}]{0,80}".prop_map(String::into_bytes),
                proptest::collection::vec(any::<u8>(), 0..40),
                ("[a-zé🏰]{0,20}", 0_usize..4).prop_map(|(text, cut)| {
                    let mut bytes = text.into_bytes();
                    bytes.truncate(bytes.len().saturating_sub(cut));
                    bytes
                }),
            ],
            lengths in proptest::collection::vec(1_usize..9, 1..9),
        ) {
            let expected = std::str::from_utf8(&bytes).is_ok_and(|text| {
                let controls = text.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
                !text.contains('\0') && controls * 3 <= text.chars().count()
            });
            prop_assert_eq!(is_text(&bytes, &lengths), expected);
        }
    }
}
