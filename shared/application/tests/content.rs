//! Files whose bytes are not what they were declared to be: what finalize reads of them, and what becomes of them.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use moc_application::port::{Bucket as _, BucketError};
use moc_domain::content::Content;
use moc_domain::error::{ErrorKind, FileFault};
use moc_domain::file::{Declaration, File, Rejection};
use moc_domain::id::SessionId;
use moc_domain::limits::{CONTENT_PROBE_BYTES, LEASE_MS};
use moc_domain::session::Status;
use moc_fakes::Stage;
use moc_fakes::stage::run;
use moc_store::SqlError;

const PROBE_BYTES: usize = CONTENT_PROBE_BYTES as usize;

/// A session with an instruction and this text.
fn with_list(stage: &Stage, bytes: &[u8]) -> (SessionId, File) {
    let id = stage.uploaded().id;
    let file = stage.upload(id, Stage::declaration("parts.csv", bytes), bytes);
    (id, file)
}

fn is_content_mismatch(stage: &Stage, id: SessionId) -> bool {
    match stage.finalize(id, "Castle").map_err(|error| error.kind) {
        Ok(_) => false,
        Err(ErrorKind::FileValidationFailed { failures }) => failures[0].reason == FileFault::ContentMismatch,
        Err(other) => panic!("{other:?}"),
    }
}

fn utf_16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

#[test]
fn all_bytes_of_a_text_are_judged() {
    let text = "3001,4\n".repeat(200).into_bytes();
    let with = |at: usize, bytes: &[u8]| [&text[..at], bytes, &text[at..]].concat();
    for (bytes, is_text, scans) in [
        (text.clone(), true, 1),
        (text[..PROBE_BYTES].to_vec(), true, 0),
        // What Excel writes: Windows-1252, and UTF-16 as "Unicode text".
        (b"Gr\xf6\xdfe;St\xfcck \x80\r\n".to_vec(), true, 0),
        (with(text.len(), b"Gr\xf6\xdfe;4\r\n\x1a"), true, 1),
        (utf_16(&"\u{feff}Größe\t4\r\n".repeat(100)), true, 1),
        (utf_16("\u{feff}Größe\t4\r\n"), true, 0),
        // A control character is one, whatever is around it.
        (b"3001\x1f4".to_vec(), true, 0),
        (b"3001\x024".to_vec(), false, 0),
        (with(PROBE_BYTES, b"\x02"), false, 1),
        (with(text.len(), b"\0"), false, 1),
        (with(text.len(), b"\x1aMZ"), false, 1),
        ([b"\xef\xbb\xbf", with(text.len(), b"\xff").as_slice()].concat(), false, 1),
        // What the first bytes show needs no read of the others.
        (with(0, b"\0"), false, 0),
        (with(0, b"PK\x03\x04"), false, 0),
    ] {
        let stage = Stage::default();
        let (id, _) = with_list(&stage, &bytes);
        assert_eq!(is_content_mismatch(&stage, id), !is_text, "{:?}", String::from_utf8_lossy(&bytes));
        assert_eq!(stage.bucket_faults.count("scan"), scans);
        assert_eq!(is_content_mismatch(&stage, id), !is_text);
        assert_eq!(stage.bucket_faults.count("scan"), scans);
    }
}

/// Browsers and messengers save WebP under `.jpg`.
#[test]
fn a_picture_is_published_as_what_its_bytes_are() {
    let webp = b"RIFF\x24\x00\x00\x00WEBPVP8 ....";
    let stage = Stage::default();
    let id = stage.uploaded().id;
    let file = stage.upload(id, Stage::declaration("photo.jpg", webp), webp);
    stage.store_faults.before("INSERT INTO mocs", 1..=3, SqlError::unavailable("broken"));
    assert!(stage.finalize(id, "Castle").is_err());
    assert_eq!(stage.file_now(&file).map(|file| file.content), Some(Content::WebP));
    let moc = stage.finalize(id, "Castle").unwrap().moc;
    let published = moc.files.iter().find(|published| published.id == file.id).map(|file| file.content);
    assert_eq!(published, Some(Content::WebP));

    // Without the record, it would be published as what it is not.
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.upload(id, Stage::declaration("photo.jpg", webp), webp);
    stage.store_faults.before("SET media_type = ?2", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::StoreUnavailable);
    stage.finalize(id, "Castle").unwrap();
}

/// What an object is served as follows from its bytes, and the MOC has the ETag that it has then.
#[test]
fn an_object_says_what_its_bytes_are() {
    let webp = b"RIFF\x24\x00\x00\x00WEBPVP8 ....".to_vec();
    let long = |line: &[u8]| line.repeat(300);
    for (name, bytes, media_type, is_copied) in [
        ("parts.csv", b"3001,4".to_vec(), "text/csv; charset=utf-8", false),
        ("parts.csv", long("Größe,4\n".as_bytes()), "text/csv; charset=utf-8", false),
        ("parts.csv", b"Gr\xf6\xdfe;4".to_vec(), "text/csv", true),
        ("parts.csv", long(b"Gr\xf6\xdfe;4\n"), "text/csv", true),
        ("parts.txt", utf_16("\u{feff}Größe\t4"), "text/plain; charset=utf-16", true),
        ("parts.txt", utf_16(&"\u{feff}Größe\t4\n".repeat(300)), "text/plain; charset=utf-16", true),
        ("parts.xml", long(b"<?xml version='1.0' encoding='windows-1252'?><!--\xf6-->"), "text/xml", false),
        ("photo.jpg", webp, "image/webp", true),
    ] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        let file = stage.upload(id, Stage::declaration(name, &bytes), &bytes);
        // What a lost result leaves is found by the next one.
        if is_copied {
            stage.store_faults.before("SET media_type = ?2", 1..=3, SqlError::unavailable("broken"));
            assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::StoreUnavailable);
        }
        let moc = stage.finalize(id, "Castle").unwrap().moc;
        let head = run(stage.memory.head(&file.key)).unwrap().unwrap();
        assert_eq!(head.media_type.as_deref(), Some(media_type), "{name}");
        let published = moc.files.iter().find(|published| published.id == file.id).unwrap();
        assert_eq!((&published.etag, published.size_bytes), (&head.etag, bytes.len() as u64), "{name}");
        assert_eq!(stage.bucket_faults.count("retype"), usize::from(is_copied), "{name}");
        assert_eq!(stage.memory.object(&file.key), Some(bytes), "{name}");
    }
}

#[test]
fn a_bucket_that_cannot_copy_keeps_its_type() {
    let stage = Stage::default();
    let id = stage.uploaded().id;
    stage.upload(id, Stage::declaration("parts.csv", b"Gr\xf6\xdfe"), b"Gr\xf6\xdfe");
    stage.bucket_faults.before("retype", 1..=3, BucketError::Unavailable("503".into()));
    assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::BucketUnavailable);
    stage.bucket_faults.before("retype", 1..=9, BucketError::Rejected("NotImplemented".into()));
    stage.finalize(id, "Castle").unwrap();
}

#[test]
fn a_rejection_says_what_the_file_is_and_what_was_expected() {
    for (name, bytes, found) in [
        ("photo.jpg", b"\0\0\0\x28ftypheic....".as_slice(), "The file is a HEIC or AVIF picture. A picture must be"),
        ("photo.png", b"%PDF-1.7", "The file is a PDF. A picture must be JPEG, PNG, WebP or GIF."),
        (
            "parts.csv",
            b"PK\x03\x04....",
            "The file is a ZIP archive or an Office document, for example XLSX. Text must be",
        ),
        ("parts.txt", b"3001\0", "The file contains bytes that no text has. Text must be UTF-8,"),
        ("other.pdf", b"\n<script>....%PDF-1.7", "The file is an HTML page. A PDF must have its header, %PDF-,"),
        ("other.pdf", b"castle", "The file is of another format. A PDF must have"),
    ] {
        let stage = Stage::default();
        let id = stage.uploaded().id;
        let file = stage.upload(id, Stage::declaration(name, bytes), bytes);
        let error = stage.finalize(id, "Castle").unwrap_err();
        let ErrorKind::FileValidationFailed { failures } = &error.kind else { panic!("{error:?}") };
        let detail = failures[0].detail();
        assert!(detail.starts_with(found), "{detail}");
        let logged = error.source.clone().unwrap_or_default();
        assert_eq!(logged, format!("file {} ({name:?}): {detail}", file.id));
        // The next one has it from the store.
        assert_eq!(stage.another().finalize(id, "Castle").unwrap_err(), error);
    }
}

/// Its checksums too are computed in the one read.
#[test]
fn a_text_is_read_once() {
    let bytes = "3001,4\n".repeat(200);
    let stage = Stage::default();
    let id = stage.uploaded().id;
    let checksums = moc_fakes::checksums(bytes.as_bytes(), true, true);
    let declared = Declaration { checksums, ..Stage::declaration("parts.csv", bytes.as_bytes()) };
    stage.upload(id, declared, bytes.as_bytes());
    stage.store_faults.before("INSERT INTO mocs", 1..=3, SqlError::unavailable("broken"));
    assert!(stage.finalize(id, "Castle").is_err());
    stage.finalize(id, "Castle").unwrap();
    assert_eq!(stage.bucket_faults.count("scan"), 1);
}

#[test]
fn a_rejected_file_loses_its_object_and_its_record_keeps_why() {
    for fault in ["content", "size", "checksum"] {
        let stage = Stage::default();
        let bytes = if fault == "content" { b"3001\0" } else { b"3001," };
        let id = stage.uploaded().id;
        let mut declared = Stage::declaration("parts.csv", bytes);
        if fault == "checksum" {
            declared.checksums = moc_fakes::checksums(b"other", true, false);
        }
        let file = stage.upload(id, declared, bytes);
        if fault == "size" {
            run(stage.memory.put(&file.key, "text/csv", b"3001,4")).unwrap();
        }
        let error = stage.finalize(id, "Castle").unwrap_err().kind;
        let rejection = stage.file_now(&file).and_then(|file| file.rejection);
        match (fault, &rejection) {
            ("content", Some(Rejection::Fault(FileFault::ContentMismatch)))
            | ("size", Some(Rejection::Fault(FileFault::SizeMismatch)))
            | ("checksum", Some(Rejection::Differs(_))) => {}
            other => panic!("{other:?}"),
        }
        assert!(!stage.memory.exists(&file.key), "{fault}");
        assert_eq!(stage.memory.keys().len(), 1, "{fault}: the instruction's is there");
        assert_eq!(stage.another().finalize(id, "Castle").unwrap_err().kind, error);
        stage.upload(id, Stage::declaration("parts.csv", b"3001,4"), b"3001,4");
        assert_eq!(stage.finalize(id, "Castle").unwrap().moc.files.len(), 2);
    }
}

/// It may appear yet.
#[test]
fn the_object_of_a_file_that_is_missing_is_not_deleted() {
    let stage = Stage::default();
    let (id, file) = with_list(&stage, b"3001,4");
    run(stage.memory.delete(&file.key)).unwrap();
    assert!(stage.finalize(id, "Castle").is_err());
    assert_eq!(stage.bucket_faults.count("delete"), 0);
}

#[test]
fn an_object_that_cannot_be_deleted_goes_with_its_record() {
    for replaces in [true, false] {
        let stage = Stage::default();
        let (id, file) = with_list(&stage, b"3001\0");
        stage.bucket_faults.before("delete", 1..=3, BucketError::Unavailable("503".into()));
        assert!(is_content_mismatch(&stage, id));
        assert!(stage.memory.exists(&file.key) && stage.file_now(&file).is_some_and(|file| file.rejected));
        if replaces {
            stage.upload(id, Stage::declaration("parts.csv", b"3001,4"), b"3001,4");
        } else {
            stage.cancel(id).unwrap();
        }
        assert!(!stage.memory.exists(&file.key));
    }
}

/// Nothing is deleted from the bucket before the store has taken the file out.
#[test]
fn a_file_that_the_store_does_not_reject_keeps_its_object() {
    let stage = Stage::default();
    let (id, file) = with_list(&stage, b"3001\0");
    stage.store_faults.before("SET rejected = 1", 1..=3, SqlError::unavailable("broken"));
    assert_eq!(stage.finalize(id, "Castle").unwrap_err().kind, ErrorKind::StoreUnavailable);
    assert!(stage.memory.exists(&file.key) && stage.file_now(&file).is_some_and(|file| !file.rejected));
    assert_eq!(stage.session_now(id).status, Status::Active);
    assert!(is_content_mismatch(&stage, id));
}

/// Another finalize has published the file meanwhile.
#[test]
fn a_finalize_that_has_lost_its_lock_rejects_and_deletes_nothing() {
    let stage = Stage::default();
    let (id, file) = with_list(&stage, b"3001,4");
    let (memory, key, other) = (stage.memory.clone(), file.key.clone(), stage.another());
    stage.store_faults.meanwhile("SET rejected = 1", 1, move || {
        other.platform.advance(LEASE_MS);
        run(memory.put(&key, "text/csv", b"3001,4")).unwrap();
        other.finalize(id, "Second").unwrap();
    });
    run(stage.memory.put(&file.key, "text/csv", b"other")).unwrap();
    assert_eq!(stage.finalize(id, "First").unwrap_err().kind, ErrorKind::FinalizeInProgress);
    assert_eq!(stage.memory.object(&file.key).as_deref(), Some(b"3001,4".as_slice()));
    assert_eq!(stage.finalize(id, "First").unwrap().moc.description.title, "Second");
}
