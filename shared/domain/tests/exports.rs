//! Files as programs export them (`tests/exports/`), and others that are not text.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs;
use std::path::Path;

use moc_domain::content::Content;
use moc_domain::limits::CONTENT_PROBE_BYTES;
use moc_domain::text::{Charset, TextCheck};

fn files(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/exports").join(folder);
    let file = |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    fs::read_dir(folder).unwrap().map(|entry| file(entry.unwrap())).collect()
}

/// The verdict of a finalize: on the first bytes, then on all.
fn charset(bytes: &[u8]) -> Option<Charset> {
    let probe = bytes.len().min(CONTENT_PROBE_BYTES as usize);
    if !Content::Csv.matches(&bytes[..probe], probe == bytes.len()) {
        return None;
    }
    let mut check = TextCheck::default();
    bytes.chunks(700).for_each(|chunk| {
        check.push(chunk);
    });
    check.finish()
}

#[test]
fn what_programs_export_is_text() {
    let texts = files("text");
    assert!(texts.len() > 20);
    for (name, bytes) in texts {
        let expected = match name.as_str() {
            "excel-unicode.txt" | "libreoffice-utf-16.csv" | "notepad-unicode.txt" => Charset::Utf16,
            "excel-utf-8.csv" | "libreoffice-utf-8.csv" | "mail-iso-2022-jp.txt" | "separators.txt" => Charset::Utf8,
            _ => Charset::Other,
        };
        assert_eq!(charset(&bytes), Some(expected), "{name}");
        // Longer than any read; the list without its mark and its end.
        let mark = if expected == Charset::Utf16 { 2 } else { 0 };
        let list = bytes[mark..].strip_suffix(b"\x1a").unwrap_or(&bytes[mark..]);
        let long = [&bytes[..mark], &list.repeat(500)].concat();
        assert_eq!(charset(&long), Some(expected), "{name}");
    }
}

#[test]
fn what_is_not_text_is_rejected() {
    let binaries = files("binary");
    assert!(binaries.len() >= 10);
    for (name, bytes) in binaries {
        assert_eq!(charset(&bytes), None, "{name}");
    }
}
