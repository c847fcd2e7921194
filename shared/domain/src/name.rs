//! File names: as the client gave them, and as an object key holds them.

use unicode_normalization::char::{canonical_combining_class, compose, decompose_canonical};

use crate::content::Content;
use crate::limits::{FILE_NAME_MAX_CHARS, OBJECT_NAME_MAX_BYTES, OBJECT_NAME_MAX_CHARS};

/// The name a client gave a file: 1 to 255 characters, none of them a control character, and none that reorders the
/// others where they are shown. In Unicode's form NFC (Unicode Standard Annex 15), so that a name that macOS has
/// decomposed is the same as one from another system.
/// Kept in the record only; never a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Reads a name in any form of Unicode, without the white space around it.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = nfc(text.trim());
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.chars().count() > FILE_NAME_MAX_CHARS {
            return Err("must have at most 255 characters");
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters");
        }
        if text.chars().any(is_bidirectional_control) {
            return Err("must not contain bidirectional control characters");
        }
        Ok(Self(text))
    }

    /// The name in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a name in the store is this one: those that earlier versions have stored are in any form.
    #[must_use]
    pub fn is(&self, stored: &str) -> bool {
        self.0 == stored || (!stored.is_ascii() && self.0 == nfc(stored))
    }

    /// What follows the last dot. `None` if there is no dot, or nothing after it.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        let (_, extension) = self.0.rsplit_once('.')?;
        (!extension.is_empty()).then_some(extension)
    }

    /// The name as the last segment of the object key of a file of this content: letters and digits of all scripts,
    /// `.`, `-` and `_`, runs of anything else as one `_`; at most 100 characters and 170 bytes, ending in an extension
    /// of `content`; never hidden.
    #[must_use]
    pub fn object_name(&self, content: Content) -> String {
        // Without the marks of its letters, Hindi or Thai cannot be read.
        let is_mark = |character| canonical_combining_class(character) != 0;
        let is_marked = |last: char| last.is_alphanumeric() || is_mark(last);
        let mut name = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            match character {
                '.' | '-' | '_' => name.push(character),
                _ if character.is_alphanumeric() => name.push(character),
                _ if is_mark(character) && name.ends_with(is_marked) => name.push(character),
                _ if name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        let visible = name.trim_start_matches('.');
        let visible = if visible.is_empty() { "file" } else { visible };
        content.named_within(visible, OBJECT_NAME_MAX_CHARS, OBJECT_NAME_MAX_BYTES)
    }
}

/// Unicode's form NFC. The crate's own iterator would bring the tables of the compatibility forms too, some 90 KB; the
/// tests compare with it.
fn nfc(text: &str) -> String {
    if text.is_ascii() {
        return text.to_owned();
    }
    let mut decomposed = Vec::with_capacity(text.len());
    for character in text.chars() {
        decompose_canonical(character, |part| decomposed.push((canonical_combining_class(part), part)));
    }
    for marks in decomposed.chunk_by_mut(|(first, _), (second, _)| *first != 0 && *second != 0) {
        marks.sort_by_key(|(class, _)| *class);
    }
    let (mut composed, mut starter, mut last_class) = (Vec::<char>::with_capacity(decomposed.len()), None, 0);
    for (class, character) in decomposed {
        let is_next = starter.is_some_and(|at: usize| at + 1 == composed.len());
        let base = starter.and_then(|at| composed.get_mut(at)).filter(|_| is_next || last_class < class);
        if let Some(base) = base
            && let Some(both) = compose(*base, character)
        {
            *base = both;
            continue;
        }
        if class == 0 {
            starter = Some(composed.len());
        }
        last_class = class;
        composed.push(character);
    }
    composed.into_iter().collect()
}

/// Whether a character embeds, overrides or isolates a direction of writing (Unicode Standard Annex 9, table 4): with
/// one, `exe.pdf` is the look of a name that ends in `fdp.exe`. The marks of one direction (U+200E, U+200F, U+061C),
/// which names in Arabic and Hebrew need, reorder nothing but neutral characters.
const fn is_bidirectional_control(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use unicode_normalization::UnicodeNormalization as _;

    fn object_name(name: &str) -> String {
        FileName::parse(name).map(|name| name.object_name(Content::Pdf)).unwrap_or_default()
    }

    #[test]
    fn hostile_names_become_plain_ones() {
        for (given, kept) in [
            ("castle.pdf", "castle.pdf"),
            ("My Castle (v2).pdf", "My_Castle_v2_.pdf"),
            ("../../etc/passwd", "_.._etc_passwd.pdf"),
            ("..", "file.pdf"),
            (".pdf", "pdf.pdf"),
            (".htaccess", "htaccess.pdf"),
            ("run-me.bat", "run-me.bat.pdf"),
            ("castle.exe.PDF", "castle.exe.PDF"),
            ("castle.pdf.", "castle.pdf..pdf"),
            ("a/b\\c.pdf", "a_b_c.pdf"),
            ("château.pdf", "château.pdf"),
            ("cha\u{302}teau.pdf", "château.pdf"),
            ("日本語の城.pdf", "日本語の城.pdf"),
            ("قلعة.pdf", "قلعة.pdf"),
            ("दुर्ग और क़िला.pdf", "दुर्ग_और_क\u{93c}िला.pdf"),
            ("ปราสาท๑๒.pdf", "ปราสาท๑๒.pdf"),
            ("🏰 Burg.pdf", "_Burg.pdf"),
            ("🏰.pdf", "_.pdf"),
            ("\u{301}a\u{200b}\u{feff}b.pdf", "_a_b.pdf"),
            ("a/\u{338}b.pdf", "a_b.pdf"),
            ("con?x=1&y#z%00.pdf", "con_x_1_y_z_00.pdf"),
        ] {
            assert_eq!(object_name(given), kept);
        }
    }

    #[test]
    fn a_name_has_one_form() {
        let parse = |name: &str| FileName::parse(name).map(|name| name.as_str().to_owned());
        let composed = "Égalité à Ōsaka 각.pdf";
        let decomposed = "E\u{301}galite\u{301} a\u{300} O\u{304}saka \u{1100}\u{1161}\u{11a8}.pdf";
        assert_eq!(parse(decomposed), Ok(composed.to_owned()));
        assert_eq!(parse(composed), Ok(composed.to_owned()));
        // The limit is that of the name as it is kept.
        assert!(FileName::parse(&"e\u{301}".repeat(255)).is_ok() && FileName::parse(&"é".repeat(256)).is_err());
        let name = FileName::parse(composed);
        assert!(name.is_ok_and(|name| name.is(composed) && name.is(decomposed) && !name.is("Egalite.pdf")));
    }

    #[test]
    fn bad_names_are_rejected() {
        for bad in ["", "   ", "a\0b", "a\r\nX-Evil: 1", &"x".repeat(256)] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn characters_that_reorder_a_name_are_rejected() {
        for bad in ('\u{202a}'..='\u{202e}').chain('\u{2066}'..='\u{2069}') {
            let rejected = FileName::parse(&format!("castle{bad}fdp.exe"));
            assert_eq!(rejected, Err("must not contain bidirectional control characters"), "{bad:?}");
        }
        for right in ["קלעה.pdf", "\u{200f}قلعة\u{200e}.pdf", "\u{61c}قلعة.pdf"] {
            assert!(FileName::parse(right).is_ok(), "{right:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = object_name(&format!("{}.pdf", "x".repeat(200)));
        assert_eq!(long.len(), 100);
        assert!(long.ends_with("x.pdf"));
        let long = object_name(&format!("{}.pdf", "城".repeat(200)));
        assert_eq!(long, format!("{}.pdf", "城".repeat(55)));
    }

    proptest! {
        #[test]
        fn names_are_composed_as_unicode_says(
            text in prop_oneof![any::<String>(), "[aeoAE\u{1100}\u{1161}\u{11a8}각\u{300}-\u{34f}\u{93c}क़éÅ\u{212b}]{0,12}"],
        ) {
            prop_assert_eq!(nfc(&text), text.nfc().collect::<String>());
        }

        #[test]
        fn every_object_name_is_safe(name in "\\PC{1,255}", content in proptest::sample::select(&Content::ALL)) {
            if let Ok(name) = FileName::parse(&name) {
                let object = name.object_name(content);
                let (_, extension) = object.rsplit_once('.').unwrap_or_default();
                prop_assert_eq!(Content::from_extension(extension), Some(content));
                prop_assert!((4..=100).contains(&object.chars().count()) && object.len() <= OBJECT_NAME_MAX_BYTES);
                prop_assert!(!object.starts_with('.'));
                let is_kept = |c: char| c.is_alphanumeric() || ".-_".contains(c) || canonical_combining_class(c) != 0;
                prop_assert!(object.chars().all(is_kept), "{}", object);
                // The appended extension begins with an ASCII character, which composes with nothing.
                prop_assert_eq!(object.nfc().collect::<String>(), object);
            }
        }
    }
}
