//! File names: as the client gave them, and as an object key holds them.

use crate::limits::{FILE_NAME_MAX_CHARS, OBJECT_NAME_MAX_CHARS};

/// The name a client gave a file: 1 to 255 characters, none of them a control character.
/// Kept in the record only; never a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Reads a name, without the white space around it.
    ///
    /// # Errors
    /// What is wrong with it, for the client.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.is_empty() {
            return Err("must not be empty");
        }
        if text.chars().count() > FILE_NAME_MAX_CHARS {
            return Err("must have at most 255 characters");
        }
        if text.chars().any(char::is_control) {
            return Err("must not contain control characters");
        }
        Ok(Self(text.to_owned()))
    }

    /// The name as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows the last dot, in lower case. `None` if there is no dot, or nothing after it.
    #[must_use]
    pub fn extension(&self) -> Option<String> {
        let (_, extension) = self.0.rsplit_once('.')?;
        (!extension.is_empty()).then(|| extension.to_ascii_lowercase())
    }

    /// The name as the last segment of an object key: letters, digits, `.`, `-` and `_`, runs of
    /// anything else as one `_`; 100 characters with the extension kept; never hidden, never empty.
    #[must_use]
    pub fn object_name(&self) -> String {
        let mut name = String::with_capacity(self.0.len());
        for character in self.0.chars() {
            match character {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => name.push(character),
                _ if name.ends_with('_') => {}
                _ => name.push('_'),
            }
        }
        let visible = name.trim_start_matches('.');
        if visible.is_empty() {
            return "file".to_owned();
        }
        if visible.len() <= OBJECT_NAME_MAX_CHARS {
            return visible.to_owned();
        }
        let (stem, extension) = match visible.rsplit_once('.') {
            Some((stem, extension)) if extension.len() < 20 => (stem, format!(".{extension}")),
            _ => (visible, String::new()),
        };
        let kept = stem.chars().take(OBJECT_NAME_MAX_CHARS - extension.len());
        kept.chain(extension.chars()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn object_name(name: &str) -> String {
        FileName::parse(name).map(|name| name.object_name()).unwrap_or_default()
    }

    #[test]
    fn hostile_names_become_plain_ones() {
        for (given, kept) in [
            ("castle.pdf", "castle.pdf"),
            ("My Castle (v2).pdf", "My_Castle_v2_.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "file"),
            (".htaccess", "htaccess"),
            ("a/b\\c.pdf", "a_b_c.pdf"),
            ("château.pdf", "ch_teau.pdf"),
            ("日本語.pdf", "_.pdf"),
            ("con?x=1&y#z%00.pdf", "con_x_1_y_z_00.pdf"),
            ("\u{202e}fdp.exe", "_fdp.exe"),
        ] {
            assert_eq!(object_name(given), kept);
        }
    }

    #[test]
    fn bad_names_are_rejected() {
        for bad in ["", "   ", "a\0b", "a\r\nX-Evil: 1", &"x".repeat(256)] {
            assert!(FileName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = object_name(&format!("{}.pdf", "x".repeat(200)));
        assert_eq!(long.len(), 100);
        assert!(long.ends_with("x.pdf"));
    }

    proptest! {
        #[test]
        fn every_object_name_is_safe(name in "\\PC{1,255}") {
            if let Ok(name) = FileName::parse(&name) {
                let object = name.object_name();
                prop_assert!((1..=100).contains(&object.len()));
                prop_assert!(!object.starts_with('.'));
                prop_assert!(object.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)));
            }
        }
    }
}
