//! Whether bytes are text: a check of a whole file, as it streams by.

/// What a text is written in, as far as its bytes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// ASCII included.
    Utf8,
    /// With its byte order mark.
    Utf16,
    /// One of those that nothing distinguishes from each other.
    Other,
}

/// Judges whether bytes are text as programs write it, in constant memory.
///
/// | the bytes begin with | then they are text if they are |
/// |---|---|
/// | `FF FE` or `FE FF`, the byte order marks of UTF-16 | well-formed UTF-16 |
/// | `EF BB BF`, the byte order mark of UTF-8 | well-formed UTF-8 |
/// | anything else | in any encoding that keeps ASCII: UTF-8, Windows-1252, Shift-JIS, GBK, code page 850, … |
///
/// In all of them, the only control characters of ASCII are white space (TAB, LF, VT, FF, CR), BEL, BS, ESC and the
/// four separators FS, GS, RS and US. SUB (control-Z) may end a text: only SUB, CR and LF may follow. No byte from 0x80
/// on is excluded, because each is a character, or a part of one, in some of these encodings. NUL and the other control
/// characters are in none of them, but in practically every binary file. Which bytes are allowed does not depend on how
/// many there are, so a file that is text remains one if more text is added to it.
#[derive(Debug, Default)]
pub struct TextCheck {
    /// The first bytes, until it is clear which byte order mark they are.
    start: Vec<u8>,
    form: Option<Form>,
    /// Whether bytes without a mark are not UTF-8.
    is_other: bool,
    /// Whether a SUB has ended the text.
    is_ended: bool,
    is_binary: bool,
}

#[derive(Debug)]
enum Form {
    /// Any encoding that keeps ASCII, for example UTF-8.
    Bytes(Utf8),
    Utf8(Utf8),
    Utf16(Utf16),
}

impl TextCheck {
    /// Takes the next bytes. `false` once no bytes that follow can make it text.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        for byte in bytes {
            if self.is_binary {
                break;
            }
            match &self.form {
                None => self.begin(*byte),
                Some(_) => self.step(*byte),
            }
        }
        !self.is_binary
    }

    /// What the text is written in, now that there are no more bytes; `None` if they are not text.
    #[must_use]
    pub fn finish(&self) -> Option<Charset> {
        let charset = match &self.form {
            None if self.start.is_empty() => Some(Charset::Utf8),
            None => Some(Charset::Other),
            Some(Form::Bytes(utf_8)) if self.is_other || utf_8.left > 0 => Some(Charset::Other),
            Some(Form::Bytes(_)) => Some(Charset::Utf8),
            Some(Form::Utf8(utf_8)) => (utf_8.left == 0).then_some(Charset::Utf8),
            Some(Form::Utf16(utf_16)) => (utf_16.first.is_none() && !utf_16.is_high).then_some(Charset::Utf16),
        };
        charset.filter(|_| !self.is_binary)
    }

    /// Takes one of the first bytes.
    fn begin(&mut self, byte: u8) {
        self.start.push(byte);
        self.form = match self.start.as_slice() {
            [0xff] | [0xfe] | [0xef] | [0xef, 0xbb] => return,
            [0xff, 0xfe] => Some(Form::Utf16(Utf16::new(u16::from_le_bytes))),
            [0xfe, 0xff] => Some(Form::Utf16(Utf16::new(u16::from_be_bytes))),
            [0xef, 0xbb, 0xbf] => Some(Form::Utf8(Utf8::default())),
            _ => Some(Form::Bytes(Utf8::default())),
        };
        let start = std::mem::take(&mut self.start);
        if matches!(self.form, Some(Form::Bytes(_))) {
            start.into_iter().for_each(|byte| self.step(byte));
        }
    }

    fn step(&mut self, byte: u8) {
        let character = match &mut self.form {
            None => return,
            Some(Form::Bytes(utf_8)) => {
                self.is_other = self.is_other || utf_8.push(byte).is_err();
                Ok(Some(u16::from(byte)))
            }
            Some(Form::Utf8(utf_8)) => utf_8.push(byte).map(|()| Some(u16::from(byte))),
            Some(Form::Utf16(utf_16)) => utf_16.push(byte),
        };
        match character {
            Err(Malformed) => self.is_binary = true,
            Ok(None) => {}
            Ok(Some(unit)) => {
                let ends = matches!(unit, SUB | CR | LF);
                self.is_binary |= !(is_textual(unit) || unit == SUB) || (self.is_ended && !ends);
                self.is_ended |= unit == SUB;
            }
        }
    }
}

const LF: u16 = 0x0a;
const CR: u16 = 0x0d;
const SUB: u16 = 0x1a;

/// Whether a byte or a unit of UTF-16 is one that text consists of.
const fn is_textual(unit: u16) -> bool {
    matches!(unit, 0x07..=0x0d | 0x1b..=0x1f | 0x20..=0x7e | 0x80..)
}

/// Bytes or units that are no character.
struct Malformed;

/// Where in a character a text of UTF-8 is ([RFC 3629](https://www.rfc-editor.org/rfc/rfc3629#section-4), section 4).
#[derive(Debug, Default)]
struct Utf8 {
    /// Bytes that the character still lacks.
    left: u8,
    /// Smallest and largest byte that may be next.
    next: (u8, u8),
}

impl Utf8 {
    fn push(&mut self, byte: u8) -> Result<(), Malformed> {
        const ANY: (u8, u8) = (0x80, 0xbf);
        let (left, next) = match (self.left, byte) {
            (0, 0..=0x7f) => (0, ANY),
            (0, 0xc2..=0xdf) => (1, ANY),
            (0, 0xe0) => (2, (0xa0, 0xbf)),
            (0, 0xed) => (2, (0x80, 0x9f)),
            (0, 0xe1..=0xef) => (2, ANY),
            (0, 0xf0) => (3, (0x90, 0xbf)),
            (0, 0xf1..=0xf3) => (3, ANY),
            (0, 0xf4) => (3, (0x80, 0x8f)),
            (left @ 1.., byte) if (self.next.0..=self.next.1).contains(&byte) => (left - 1, ANY),
            _ => return Err(Malformed),
        };
        (self.left, self.next) = (left, next);
        Ok(())
    }
}

/// Where in a character a text of UTF-16 is.
#[derive(Debug)]
struct Utf16 {
    unit: fn([u8; 2]) -> u16,
    /// The first byte of a unit.
    first: Option<u8>,
    /// Whether the last unit was the first of two surrogates.
    is_high: bool,
}

impl Utf16 {
    fn new(unit: fn([u8; 2]) -> u16) -> Self {
        Self { unit, first: None, is_high: false }
    }

    /// The unit that the byte ends.
    fn push(&mut self, byte: u8) -> Result<Option<u16>, Malformed> {
        let Some(first) = self.first.take() else {
            self.first = Some(byte);
            return Ok(None);
        };
        let unit = (self.unit)([first, byte]);
        let is_low = matches!(unit, 0xdc00..=0xdfff);
        // U+FFFE is no character: it is a byte order mark in the other order.
        if is_low != self.is_high || unit == 0xfffe {
            return Err(Malformed);
        }
        self.is_high = matches!(unit, 0xd800..=0xdbff);
        Ok(Some(unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The verdict on pieces of these lengths, in turn.
    fn judged(bytes: &[u8], lengths: &[usize]) -> Option<Charset> {
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

    fn in_pieces(bytes: &[u8], lengths: &[usize]) -> bool {
        judged(bytes, lengths).is_some()
    }

    fn is_text(bytes: &[u8]) -> bool {
        in_pieces(bytes, &[100])
    }

    fn utf_16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn text_is_text_in_every_encoding_that_programs_write() {
        for bytes in [
            "part,count\r\nBrique 2×4,7\r\n".as_bytes(),
            b"\xef\xbb\xbfpart;count\r\n3001;4\r\n",
            // "Größe;Stück €" in Windows-1252 and in code page 850, and "Größe" in Mac OS Roman with its line ends.
            b"Gr\xf6\xdfe;St\xfcck \x80\r\n",
            b"Gr\x94\xe1e;St\x81ck\r\n\x1a",
            b"Gr\x9a\xa7e;4\rStein;7\r",
            // "Кирпич" in Windows-1251 and KOI8-R, "部品" in Shift-JIS, EUC-JP, GBK and Big5, "부품" in EUC-KR.
            b"\xca\xe8\xf0\xef\xe8\xf7;4\n",
            b"\xeb\xc9\xd2\xd0\xc9\xde;4\n",
            b"\x95\x94\x95i,4\n",
            b"\xc9\xf4\xc9\xca,4\n",
            b"\xb2\xbf\xc6\xb7,4\n",
            b"\xb3\xa1\xab~,4\n",
            b"\xba\xce\xc7\xb0,4\n",
            // "部品" in ISO-2022-JP, which is ASCII with escape sequences.
            b"\x1b$BItIJ\x1b(B,4\n",
            // What no encoding forbids.
            b"\x81\x8d\x8f\x90\x9d\xff",
            b"\xef\xbb",
            b"\xff",
            b"",
        ] {
            assert!(is_text(bytes), "{bytes:?}");
        }
        // "Unicode text" of Excel, and what an editor writes on a machine of the other byte order.
        let text = "\u{feff}Teil\tAnzahl\r\nStein 2×4 🧱\t7\r\n";
        assert!(is_text(&utf_16(text, u16::to_le_bytes)) && is_text(&utf_16(text, u16::to_be_bytes)));
    }

    #[test]
    fn what_a_byte_order_mark_promises_is_verified() {
        for bytes in [
            b"\xef\xbb\xbfGr\xf6\xdfe".as_slice(),
            b"\xef\xbb\xbf\xc3",
            b"\xef\xbb\xbf\xe0\x80\x80",
            b"\xef\xbb\xbf\xed\xa0\x80",
            b"\xef\xbb\xbf\xf4\x90\x80\x80",
            b"\xff\xfea\x00b",
            b"\xff\xfe\x00\xd8a\x00",
            b"\xff\xfe\x00\xdc",
            b"\xff\xfea\x00\x00\xd8",
            b"\xff\xfe\xfe\xff",
            // UTF-32, whose mark begins like that of UTF-16.
            b"\xff\xfe\x00\x00a\x00\x00\x00",
        ] {
            assert!(!is_text(bytes), "{bytes:?}");
        }
        // Without a mark nothing distinguishes UTF-16 from binary data.
        assert!(!is_text(&utf_16("parts", u16::to_le_bytes)));
    }

    #[test]
    fn control_characters_that_texts_have_are_allowed() {
        for text in [
            "3001\u{1f}4\n",
            "\u{1b}[31mred\u{1b}[0m",
            "3001\u{1f}4\u{1e}3002\u{1f}7\u{1e}",
            "it\u{92}s",
            "a\u{b}b\u{c}",
        ] {
            assert!(is_text(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn control_z_ends_a_text() {
        for text in ["3001,4\r\n\u{1a}", "3001\u{1a}\u{1a}\u{1a}", "3001\u{1a}\r\n", "\u{1a}"] {
            assert!(is_text(text.as_bytes()), "{text:?}");
            assert!(is_text(&utf_16(&format!("\u{feff}{text}"), u16::to_le_bytes)), "{text:?}");
        }
        for text in ["30\u{1a}01", "3001\u{1a}\r\nMZ", "3001\u{1a} "] {
            assert!(!is_text(text.as_bytes()), "{text:?}");
            assert!(!is_text(&utf_16(&format!("\u{feff}{text}"), u16::to_be_bytes)), "{text:?}");
        }
    }

    #[test]
    fn other_control_characters_are_found_wherever_they_are() {
        for control in (0..=6).chain(0x0e..=0x19).chain([0x7f]) {
            for at in [0, 511, 512, 1_024, 70_000, 99_999, 100_000] {
                let mut bytes = b"Gr\xf6\xdfe\n".repeat(20_000)[..100_000].to_vec();
                assert!(in_pieces(&bytes, &[4_096]));
                bytes.insert(at, control);
                assert!(!in_pieces(&bytes, &[4_096]), "{control} at {at}");
            }
        }
    }

    #[test]
    fn random_bytes_are_binary() {
        for length in [256, 1_000, 65_536] {
            for seed in 1..=200_u64 {
                // SplitMix64.
                let random = |index: usize| {
                    let mixed = (seed * 1_000_003 + index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                    (mixed ^ (mixed >> 31)) as u8
                };
                let bytes: Vec<u8> = (0..length).map(random).collect();
                assert!(!is_text(&bytes), "{length} bytes of seed {seed}");
            }
        }
    }

    #[test]
    fn what_cannot_become_text_is_known_at_once() {
        let mut check = TextCheck::default();
        assert!(check.push(b"MZ"));
        assert!(!check.push(b"\x90\x00\x03\x00"));
        assert!(!check.push(b"text"));
        assert_eq!(check.finish(), None);
    }

    #[test]
    fn bytes_show_what_a_text_is_written_in() {
        for (bytes, charset) in [
            (b"3001,4".as_slice(), Charset::Utf8),
            ("\u{feff}Größe".as_bytes(), Charset::Utf8),
            ("Größe 🧱".as_bytes(), Charset::Utf8),
            (b"", Charset::Utf8),
            (b"Gr\xf6\xdfe", Charset::Other),
            (b"Gr\xc3\xb6\xc3", Charset::Other),
            (b"\xef\xbb", Charset::Other),
            (b"\xff\xfea\x00", Charset::Utf16),
            (b"\xfe\xff\x00a", Charset::Utf16),
        ] {
            for length in [1, 2, 100] {
                assert_eq!(judged(bytes, &[length]), Some(charset), "{bytes:?}");
            }
        }
    }

    /// Bytes of all kinds, most of them next to a limit of the rule.
    fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
        let mark = proptest::sample::select(vec![b"".as_slice(), b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"]);
        let rest = prop_oneof![
            any::<String>().prop_map(String::into_bytes),
            "[a-zé×🏰\u{1a}\u{1b}\r\n]{0,40}".prop_map(String::into_bytes),
            "[a-zé🏰]{0,20}".prop_map(|text| utf_16(&text, u16::to_le_bytes)),
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::collection::vec(0x20_u8.., 0..40),
        ];
        (mark, rest).prop_map(|(mark, rest)| [mark, &rest].concat())
    }

    proptest! {
        #[test]
        fn the_pieces_do_not_matter(
            bytes in any_bytes(),
            lengths in proptest::collection::vec(1_usize..9, 1..9),
        ) {
            let textual = |units: &mut dyn Iterator<Item = u16>| {
                let units: Vec<u16> = units.collect();
                let end = units.iter().position(|unit| *unit == SUB).unwrap_or(units.len());
                let (text, ended) = units.split_at(end);
                text.iter().all(|unit| is_textual(*unit)) && ended.iter().all(|unit| matches!(*unit, SUB | CR | LF))
            };
            let units = |order: fn([u8; 2]) -> u16| {
                let units: Vec<u16> = bytes[2..].chunks_exact(2).map(|pair| order([pair[0], pair[1]])).collect();
                bytes.len() % 2 == 0 && String::from_utf16(&units).is_ok_and(|text| !text.contains('\u{fffe}'))
                    && textual(&mut units.into_iter())
            };
            let expected = match bytes.get(..2) {
                Some([0xff, 0xfe]) => units(u16::from_le_bytes),
                Some([0xfe, 0xff]) => units(u16::from_be_bytes),
                _ => {
                    let is_utf_8 = std::str::from_utf8(&bytes).is_ok();
                    (is_utf_8 || !bytes.starts_with(b"\xef\xbb\xbf"))
                        && textual(&mut bytes.iter().map(|byte| u16::from(*byte)))
                }
            };
            prop_assert_eq!(in_pieces(&bytes, &lengths), expected);
            let is_utf_8 = std::str::from_utf8(&bytes).is_ok();
            prop_assert_eq!(judged(&bytes, &lengths) == Some(Charset::Utf8), expected && is_utf_8);
        }

        /// Only which bytes there are counts, not how many: neither padding nor truncation changes a verdict.
        #[test]
        fn the_length_does_not_matter(
            bytes in proptest::collection::vec(prop_oneof![0x1b_u8..0x7f, 0x80_u8..0xfe, Just(0x02), Just(b'\n')], 1..80),
            padding in 0_usize..5_000,
            keep in 0_usize..80,
        ) {
            let verdict = is_text(&bytes);
            let text = b"3001,4\r\n".repeat(padding / 8);
            for longer in [[&text, bytes.as_slice()].concat(), [&bytes, text.as_slice()].concat(), bytes.repeat(70)] {
                prop_assert_eq!(is_text(&longer), verdict);
            }
            if verdict {
                prop_assert!(is_text(&bytes[..keep.min(bytes.len())]));
            }
        }
    }
}
