//! Objects as clients read them: under which name, and whether to show or to save them.

use std::fmt::Write as _;

use crate::content::Content;
use crate::file::File;
use crate::limits::FILE_NAME_MAX_CHARS;
use crate::moc::{Moc, MocFile};

/// An object with what its responses say of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    pub key: &'a str,
    pub content: Content,
    /// As the client gave it.
    pub name: &'a str,
}

impl<'a> Object<'a> {
    /// The thumbnail with this key.
    #[must_use]
    pub const fn thumbnail(key: &'a str) -> Self {
        Self { key, content: Content::Jpeg, name: "thumbnail.jpg" }
    }

    /// The value of `Content-Disposition` (RFC 6266), in ASCII: names with other characters have a second form (RFC
    /// 8187) and a first one for clients that do not know it. The name ends in an extension of the content.
    #[must_use]
    pub fn disposition(&self) -> String {
        let kind = if self.content.is_shown() { "inline" } else { "attachment" };
        let name = self.content.named(self.name, FILE_NAME_MAX_CHARS);
        let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        let mut value = format!("{kind}; filename=\"{plain}\"");
        if plain != name {
            value += "; filename*=UTF-8''";
            for byte in name.bytes() {
                if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                    value.push(byte.into());
                } else {
                    let _ = write!(value, "%{byte:02X}");
                }
            }
        }
        value
    }
}

/// Whether a character means itself in a quoted file name, whoever reads it (RFC 6266, appendix D) and wherever it is
/// saved.
const fn is_plain(c: char) -> bool {
    matches!(c, ' '..='~') && !matches!(c, '"' | '\\' | '%' | '/' | ':' | '*' | '?' | '<' | '>' | '|')
}

impl File {
    /// Its object, which is there once it is completed.
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        Object { key: &self.key, content: self.content, name: &self.name }
    }
}

impl MocFile {
    #[must_use]
    pub fn object(&self) -> Object<'_> {
        Object { key: &self.key, content: self.content, name: &self.name }
    }
}

impl Moc {
    /// Its thumbnail, once there is one.
    #[must_use]
    pub fn thumbnail(&self) -> Option<Object<'_>> {
        self.thumbnail_key.as_deref().map(Object::thumbnail)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disposition(content: Content, name: &str) -> String {
        Object { key: "k", content, name }.disposition()
    }

    #[test]
    fn only_pictures_and_pdfs_are_shown() {
        for content in Content::ALL {
            let is_shown = content.is_image() || content == Content::Pdf;
            let kind = if is_shown { "inline; " } else { "attachment; " };
            assert!(disposition(content, "a").starts_with(kind), "{content:?}");
        }
        assert_eq!(Object::thumbnail("k").disposition(), "inline; filename=\"thumbnail.jpg\"");
    }

    #[test]
    fn names_are_ascii_with_a_second_form_where_they_need_one() {
        for (name, expected) in [
            ("castle.pdf", r#"filename="castle.pdf""#),
            ("My Castle, v2 (new)'s.pdf", r#"filename="My Castle, v2 (new)'s.pdf""#),
            ("run-me.bat", r#"filename="run-me.bat.pdf""#),
            ("Schloß.pdf", r#"filename="Schlo_.pdf"; filename*=UTF-8''Schlo%C3%9F.pdf"#),
            ("城 1.pdf", r#"filename="_ 1.pdf"; filename*=UTF-8''%E5%9F%8E%201.pdf"#),
            ("a\"b\\c.pdf", r#"filename="a_b_c.pdf"; filename*=UTF-8''a%22b%5Cc.pdf"#),
            ("100%.pdf", r#"filename="100_.pdf"; filename*=UTF-8''100%25.pdf"#),
            ("../x'(*).pdf", r#"filename=".._x'(_).pdf"; filename*=UTF-8''..%2Fx%27%28%2A%29.pdf"#),
        ] {
            assert_eq!(disposition(Content::Pdf, name), format!("inline; {expected}"), "{name}");
        }
    }

    proptest! {
        #[test]
        fn every_value_is_a_header_that_keeps_the_name(name in "\\PC{1,255}") {
            let value = disposition(Content::Csv, &name);
            prop_assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", value);
            prop_assert_eq!(value.matches('"').count(), 2);
            let kept = Content::Csv.named(&name, FILE_NAME_MAX_CHARS);
            let Some((_, encoded)) = value.split_once("; filename*=UTF-8''") else {
                prop_assert_eq!(value, format!("attachment; filename=\"{kept}\""));
                return Ok(());
            };
            let mut bytes = Vec::new();
            let mut rest = encoded.bytes();
            while let Some(byte) = rest.next() {
                bytes.push(match byte {
                    b'%' => {
                        let digits = [rest.next().unwrap(), rest.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                    }
                    byte => byte,
                });
            }
            prop_assert_eq!(String::from_utf8(bytes).unwrap(), kept);
        }
    }
}
