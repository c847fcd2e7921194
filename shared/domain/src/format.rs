//! Formats that files turn out to have, by their first bytes: for whether a file is what it was declared to be, and for
//! words that say what it is instead.

use crate::content::Content;
use crate::limits::CONTENT_PROBE_BYTES;

/// A format that first bytes identify.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Pdf,
    Jpeg,
    Png,
    WebP,
    Gif,
    /// HEIC and AVIF (ISO/IEC 23008-12): what phones take pictures in.
    Heif,
    Tiff,
    /// And whatever is one inside, for example XLSX and DOCX.
    Zip,
    /// Compound File Binary, for example XLS and DOC.
    Ole,
    Gzip,
    Bzip2,
    Rar,
    SevenZip,
    Sqlite,
    /// ELF or Portable Executable.
    Executable,
    Html,
}

impl Format {
    /// Its name in the store, and what it is called in a sentence.
    const NAMES: [(Self, &str, &str); 16] = [
        (Self::Pdf, "pdf", "a PDF"),
        (Self::Jpeg, "jpeg", "a JPEG picture"),
        (Self::Png, "png", "a PNG picture"),
        (Self::WebP, "webp", "a WebP picture"),
        (Self::Gif, "gif", "a GIF picture"),
        (Self::Heif, "heif", "a HEIC or AVIF picture"),
        (Self::Tiff, "tiff", "a TIFF picture"),
        (Self::Zip, "zip", "a ZIP archive or an Office document, for example XLSX"),
        (Self::Ole, "ole", "an old Office document, for example XLS"),
        (Self::Gzip, "gzip", "a gzip archive"),
        (Self::Bzip2, "bzip2", "a bzip2 archive"),
        (Self::Rar, "rar", "a RAR archive"),
        (Self::SevenZip, "7z", "a 7z archive"),
        (Self::Sqlite, "sqlite", "a SQLite database"),
        (Self::Executable, "executable", "a program"),
        (Self::Html, "html", "an HTML page"),
    ];

    fn names(self) -> (&'static str, &'static str) {
        let named = Self::NAMES.iter().find(|(format, ..)| *format == self);
        named.map_or(("", ""), |(_, name, words)| (*name, *words))
    }

    /// The name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.names().0
    }

    /// Reads the name in the store.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, name, _)| *name == text).map(|(format, ..)| *format)
    }

    /// With its article, for a sentence.
    #[must_use]
    pub fn words(self) -> &'static str {
        self.names().1
    }

    /// The format of a file that begins with these bytes: all that [`CONTENT_PROBE_BYTES`] says, where there are as
    /// many. `None` for text, HTML excepted, and for what is unknown.
    #[must_use]
    pub fn of(start: &[u8]) -> Option<Self> {
        let has = |at: usize, bytes: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(bytes));
        let formats = [
            (Self::Jpeg, has(0, b"\xff\xd8\xff")),
            (Self::Png, has(0, b"\x89PNG\r\n\x1a\n")),
            (Self::WebP, has(0, b"RIFF") && has(8, b"WEBP")),
            (Self::Gif, has(0, b"GIF87a") || has(0, b"GIF89a")),
            (Self::Heif, has(0, b"\0\0") && has(4, b"ftyp")),
            (Self::Tiff, has(0, b"II*\0") || has(0, b"MM\0*")),
            (Self::Zip, has(0, b"PK\x03\x04") || has(0, b"PK\x05\x06")),
            (Self::Ole, has(0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")),
            (Self::Gzip, has(0, b"\x1f\x8b\x08")),
            (Self::Bzip2, has(0, b"BZh") && has(4, b"1AY&SY")),
            (Self::Rar, has(0, b"Rar!\x1a\x07")),
            (Self::SevenZip, has(0, b"7z\xbc\xaf\x27\x1c")),
            (Self::Sqlite, has(0, b"SQLite format 3\0")),
            (Self::Executable, has(0, b"\x7fELF") || (has(0, b"MZ") && start.contains(&0))),
        ];
        let begins_so = formats.into_iter().find(|(_, is)| *is).map(|(format, _)| format);
        begins_so.or_else(|| match pdf_header(start) {
            // A file that is both would be shown as either.
            Some(at) if start.get(..at).is_some_and(has_tag) => Some(Self::Html),
            Some(_) => Some(Self::Pdf),
            None => {
                let start = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
                let tag = start.trim_ascii_start().strip_prefix(b"<")?;
                is_tag(tag).then_some(Self::Html)
            }
        })
    }

    /// The content that a file of this format has, if a MOC can hold it.
    #[must_use]
    pub const fn content(self) -> Option<Content> {
        match self {
            Self::Pdf => Some(Content::Pdf),
            Self::Jpeg => Some(Content::Jpeg),
            Self::Png => Some(Content::Png),
            Self::WebP => Some(Content::WebP),
            Self::Gif => Some(Content::Gif),
            _ => None,
        }
    }
}

/// Where the header of a PDF is: within the first 1,024 bytes (ISO 32000-1, annex H.3.4.1), after what scanners,
/// printers and mail gateways write in front of it.
fn pdf_header(start: &[u8]) -> Option<usize> {
    let probe = usize::try_from(CONTENT_PROBE_BYTES).unwrap_or(usize::MAX);
    let header = b"%PDF-";
    start.get(..start.len().min(probe))?.windows(header.len()).position(|bytes| bytes == header)
}

/// Tags by which browsers recognise HTML ([MIME Sniffing](https://mimesniff.spec.whatwg.org/), section 7.1), and others
/// that can hold a script.
const TAGS: [&[u8]; 21] = [
    b"!doctype",
    b"html",
    b"head",
    b"script",
    b"iframe",
    b"h1",
    b"div",
    b"font",
    b"table",
    b"a",
    b"style",
    b"title",
    b"b",
    b"body",
    b"br",
    b"p",
    b"svg",
    b"img",
    b"object",
    b"embed",
    b"meta",
];

/// Whether a tag, a comment or an XML declaration begins after `<`. An address in angle brackets does not count.
fn is_tag(rest: &[u8]) -> bool {
    let is_named = |tag: &&&[u8]| rest.get(..tag.len()).is_some_and(|name| name.eq_ignore_ascii_case(tag));
    let ends = |tag: &&[u8]| rest.get(tag.len()).is_none_or(|byte| byte.is_ascii_whitespace() || b">/".contains(byte));
    let is_html = TAGS.iter().filter(is_named).any(ends);
    is_html || rest.starts_with(b"!--") || rest.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"?xml"))
}

fn has_tag(bytes: &[u8]) -> bool {
    bytes.iter().enumerate().any(|(at, byte)| *byte == b'<' && bytes.get(at + 1..).is_some_and(is_tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for (format, name, words) in Format::NAMES {
            assert_eq!((Format::parse(name), format.as_str(), format.words()), (Some(format), name, words));
        }
        assert_eq!(Format::parse("other"), None);
    }

    #[test]
    fn first_bytes_identify_a_format() {
        for (start, format) in [
            (b"%PDF-1.7\n".as_slice(), Some(Format::Pdf)),
            // JFIF, EXIF first as phones write it, Adobe's marker first, a bare quantization table.
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", Some(Format::Jpeg)),
            (b"\xff\xd8\xff\xe1\x2c\x0aExif\0\0", Some(Format::Jpeg)),
            (b"\xff\xd8\xff\xee\x00\x0eAdobe", Some(Format::Jpeg)),
            (b"\xff\xd8\xff\xdb\x00\x43\0", Some(Format::Jpeg)),
            (b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", Some(Format::Png)),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", Some(Format::WebP)),
            (b"RIFF\x24\x00\x00\x00WEBPVP8L", Some(Format::WebP)),
            (b"RIFF\x24\x00\x00\x00WEBPVP8X", Some(Format::WebP)),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", None),
            (b"GIF87a\x01\0\x01\0", Some(Format::Gif)),
            (b"GIF89a\x01\0\x01\0", Some(Format::Gif)),
            (b"\0\0\0\x28ftypheic\0\0\0\0mif1", Some(Format::Heif)),
            (b"II*\0\x08\0\0\0", Some(Format::Tiff)),
            (b"PK\x03\x04\x14\0\x06\0[Content_Types].xml", Some(Format::Zip)),
            (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0", Some(Format::Ole)),
            (b"\x1f\x8b\x08\0", Some(Format::Gzip)),
            (b"BZh91AY&SY", Some(Format::Bzip2)),
            (b"Rar!\x1a\x07\x01\0", Some(Format::Rar)),
            (b"7z\xbc\xaf\x27\x1c\0\x04", Some(Format::SevenZip)),
            (b"SQLite format 3\0\x10", Some(Format::Sqlite)),
            (b"MZ\x90\0\x03", Some(Format::Executable)),
            (b"\x7fELF\x02", Some(Format::Executable)),
            (b"\xef\xbb\xbf \n<!DOCTYPE html>", Some(Format::Html)),
            (b"<script>alert(1)</script>", Some(Format::Html)),
            (b"<?xml version=\"1.0\"?><parts/>", Some(Format::Html)),
            (b"<parts/>", None),
            (b"<bricks>", None),
            (b"MZ-1,4\n", None),
            (b"BZh, a part\n", None),
            (b"", None),
        ] {
            assert_eq!(Format::of(start), format, "{start:?}");
        }
    }

    #[test]
    fn the_header_of_a_pdf_may_follow_other_bytes() {
        let download = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n".as_slice();
        let mail = b"From: Ada <ada@example.com>\r\nMessage-ID: <b@example.com>\r\n\r\n".as_slice();
        let printer = b"\x1b%-12345X@PJL JOB\r\n@PJL ENTER LANGUAGE=PDF\r\n".as_slice();
        let mac_binary = [b"\0\x0acastle.pdf".as_slice(), &[0; 116]].concat();
        for before in [b"\xef\xbb\xbf".as_slice(), b"\r\n", download, mail, printer, &mac_binary, &[0; 1_019]] {
            assert_eq!(Format::of(&[before, b"%PDF-1.4\n"].concat()), Some(Format::Pdf), "{before:?}");
        }
        assert_eq!(Format::of(&[&[0; 1_020], b"%PDF-1.4\n".as_slice()].concat()), None);
    }

    #[test]
    fn a_pdf_is_nothing_else_as_well() {
        for (before, format) in [
            (b"<html><script>alert(1)</script>".as_slice(), Format::Html),
            (b"\n<!DocType HTML>", Format::Html),
            (b"GET /<svg/onload=alert(1)>", Format::Html),
            (b"x<!-- ", Format::Html),
            (b"<?XML?>", Format::Html),
            (b"<body\nonload=alert(1)>", Format::Html),
            (b"PK\x03\x04\x14\0", Format::Zip),
            (b"GIF89a", Format::Gif),
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"MZ\x90\0", Format::Executable),
        ] {
            assert_eq!(Format::of(&[before, b"%PDF-1.4\n"].concat()), Some(format), "{before:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..64), tag in "[<!?a-z/> ]{0,9}") {
            let _ = Format::of(&bytes);
            let before = [b"x<".as_slice(), tag.as_bytes()].concat();
            let found = Format::of(&[&before, b"%PDF-1.4".as_slice()].concat());
            prop_assert!(matches!(found, Some(Format::Pdf | Format::Html)));
        }
    }
}
