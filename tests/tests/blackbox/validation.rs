//! What finalize checks of the files: that they are there, whole, and what they were said to be.

use moc_tests::content::{PART_BYTES, pdf, starting};
use moc_tests::{Client, Stack, assert_response, path, unique_title};
use serde_json::{Value, json};

/// Files as they should be: name, category, media type, first bytes.
const KINDS: [(&str, &str, &str, &[u8]); 10] = [
    ("castle.pdf", "instruction", "application/pdf", b"%PDF-1.7\n"),
    ("a.csv", "parts-list", "text/csv", "part,count\r\nBrique 2×4,7\r\n".as_bytes()),
    ("a.txt", "parts-list", "text/plain", b"\xef\xbb\xbfa brick\twith studs\n"),
    ("a.json", "parts-list", "application/json", b"{\"3001\":7}"),
    ("a.xml", "parts-list", "text/xml", b"<?xml version=\"1.0\"?><parts/>"),
    ("a.jpg", "image", "image/jpeg", b"\xff\xd8\xff\xe0\x00\x10JFIF"),
    ("a.png", "image", "image/png", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"),
    ("a.webp", "image", "image/webp", b"RIFF\x24\x00\x00\x00WEBPVP8 "),
    ("a.gif", "image", "image/gif", b"GIF87a\x01\x00\x01\x00"),
    ("t.gif", "thumbnail", "image/gif", b"GIF89a\x01\x00\x01\x00"),
];

/// Finalizes a session that must be rejected for one file, and stays active.
async fn rejected(client: &Client, session: &str, file: &str, reason: &str) -> moc_tests::Response {
    let reply = client.finalize(session, &unique_title()).await;
    let problem = reply.problem(422, "FILE_VALIDATION_FAILED");
    assert_eq!(problem["failures"].as_array().map(Vec::len), Some(1), "{problem}");
    assert_eq!(problem["failures"][0]["fileId"], json!(file));
    assert_eq!(problem["failures"][0]["reason"], json!(reason), "{problem}");
    assert_eq!(client.get(&path::session(session)).await.success(200)["status"], "active");
    reply
}

#[tokio::test]
async fn every_kind_of_file_is_taken() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    for (name, category, media_type, bytes) in KINDS {
        let _ = client.upload(&session, name, category, media_type, bytes).await;
    }
    let reply = client.finalize(&session, &unique_title()).await;
    let moc = reply.success(201);
    assert_response!("finalize_every_kind", reply);
    let size: usize = KINDS.iter().map(|(.., bytes)| bytes.len()).sum();
    assert_eq!(moc["totalSizeBytes"], size);
    assert_eq!(moc["partsKeys"].as_array().map(Vec::len), Some(4));
    assert_eq!(moc["imageKeys"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn the_bytes_decide_what_a_file_is() {
    let client = Stack::shared().client();
    let checks = KINDS.into_iter().map(async |(name, category, media_type, right)| {
        let wrong: &[u8] = match category {
            "parts-list" => b"MZ\x90\x00\x03\x00\x00\x00",
            _ => b"<script>alert(1)</script>",
        };
        let session = client.create_session().await;
        if category != "instruction" {
            let _ = client.upload(&session, "right.pdf", "instruction", "application/pdf", &pdf(10)).await;
        }
        let file = client.upload(&session, name, category, media_type, wrong).await;
        let reply = rejected(&client, &session, &file, "CONTENT_MISMATCH").await;
        if category == "instruction" {
            assert_response!("finalize_content_mismatch", reply);
        }

        // The right bytes, a little way in, are wrong ones too; a PDF may begin within the first 1,024.
        let mut late = if category == "instruction" { vec![0; 1_024] } else { b"\x00 ".to_vec() };
        late.extend_from_slice(right);
        let session = client.create_session().await;
        if category != "instruction" {
            let _ = client.upload(&session, "right.pdf", "instruction", "application/pdf", &pdf(10)).await;
        }
        let file = client.upload(&session, name, category, media_type, &late).await;
        rejected(&client, &session, &file, "CONTENT_MISMATCH").await;
    });
    futures::future::join_all(checks).await;
}

#[tokio::test]
async fn a_text_is_judged_by_all_of_it() {
    let client = Stack::shared().client();
    let finalize = async |bytes: &[u8]| {
        let session = client.create_session().await;
        let _ = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(10)).await;
        let _ = client.upload(&session, "a.txt", "parts-list", "text/plain", bytes).await;
        client.finalize(&session, &unique_title()).await
    };
    // Characters that the first read and the later ones cut.
    let long = format!("{}{}", "x".repeat(511), "×".repeat(400_000));
    let _ = finalize(long.as_bytes()).await.success(201);
    let text = ["3001\u{1f}4\r\n3002\u{1f}7\r\n", "\u{1b}[31m3001\u{1b}[0m,4\r\n", "3001,4\r\n\u{1a}"];
    for text in text {
        let _ = finalize(text.as_bytes()).await.success(201);
    }
    for bytes in [
        [long.as_bytes(), b"\0"].concat(),
        [long.as_bytes(), b"\x02"].concat(),
        [b"\xef\xbb\xbf", long.as_bytes(), &"×".as_bytes()[..1]].concat(),
        b"a\x00b\x00".to_vec(),
        b"PK\x03\x04".to_vec(),
        b"%PDF-1.7\n".to_vec(),
    ] {
        let problem = finalize(&bytes).await.problem(422, "FILE_VALIDATION_FAILED");
        assert_eq!(problem["failures"][0]["reason"], "CONTENT_MISMATCH");
    }
}

/// As Excel, browsers and scanners write them; their objects say what they are.
#[tokio::test]
async fn files_are_taken_as_programs_write_them() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let session = client.create_session().await;
    let excel = "Größe;Stück\r\n2×4;7\r\n".repeat(100);
    let windows_1252: Vec<u8> = excel.chars().map(|character| character as u8).collect();
    let unicode: Vec<u8> = format!("\u{feff}{excel}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut uploads = Vec::new();
    let scanned = [b"\x1b%-12345X@PJL ENTER LANGUAGE=PDF\r\n".as_slice(), &pdf(600)].concat();
    for (name, category, declared, bytes, media_type, stored_type) in [
        ("scan.pdf", "instruction", "application/x-pdf", scanned.as_slice(), "application/pdf", "application/pdf"),
        ("excel.csv", "parts-list", "application/vnd.ms-excel", &windows_1252, "text/csv", "text/csv"),
        ("list.csv", "parts-list", "text/x-csv", excel.as_bytes(), "text/csv", "text/csv; charset=utf-8"),
        ("excel.txt", "parts-list", "*/*", &unicode, "text/plain", "text/plain; charset=utf-16"),
        ("photo.jpg", "image", "image/jpeg", b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image/webp", "image/webp"),
        ("saved.jfif", "image", "binary/octet-stream", b"\xff\xd8\xff\xe1..Exif", "image/jpeg", "image/jpeg"),
    ] {
        let id = client.upload(&session, name, category, declared, bytes).await;
        uploads.push((id, media_type, stored_type, bytes));
    }
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let published = moc["files"].as_array().expect("files");
    for (id, media_type, stored_type, bytes) in uploads {
        let file = published.iter().find(|file| file["id"] == json!(id)).expect("the file");
        assert_eq!(file["type"], media_type, "{file}");
        let key = file["key"].as_str().expect("a key");
        assert_eq!(bucket.header(key, "content-type").await.as_deref(), Some(stored_type), "{file}");
        assert_eq!(bucket.header(key, "etag").await.as_deref(), file["etag"].as_str(), "{file}");
        assert_eq!(bucket.get(key).await.as_deref(), Some(bytes), "{file}");
    }
    assert_eq!(published.iter().filter(|file| file["name"] == "photo.jpg.webp").count(), 1, "{moc}");
}

#[tokio::test]
async fn an_object_that_is_missing_is_missed() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (session, file) = client.upload_pdf(100).await;
    let key = bucket.key_of(&session, &file).await;
    bucket.delete(&key).await;
    assert_response!("finalize_object_missing", rejected(&client, &session, &file, "OBJECT_MISSING").await);
    bucket.put(&key, pdf(100)).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

#[tokio::test]
async fn a_file_that_was_not_completed_is_missed() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(100).await;
    let open = client.register(&session, "b.png", "image", "image/png", 10).await;
    rejected(&client, &session, &open, "OBJECT_MISSING").await;
    client.put_parts(&session, &open, b"\x89PNG\r\n\x1a\n..").await;
    let _ = client.complete(&session, &open).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

#[tokio::test]
async fn an_object_of_another_size_is_not_the_file() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    for (size, shown) in [(99, true), (101, false)] {
        let (session, file) = client.upload_pdf(100).await;
        bucket.put(&bucket.key_of(&session, &file).await, pdf(size)).await;
        let reply = rejected(&client, &session, &file, "SIZE_MISMATCH").await;
        if shown {
            assert_response!("finalize_size_mismatch", reply);
        }
    }
}

#[tokio::test]
async fn a_session_can_be_put_right_after_a_failed_validation() {
    let (client, bucket) = (Stack::shared().client(), Stack::shared().bucket());
    let (session, _) = client.upload_pdf(PART_BYTES + 10).await;
    let wrong = client.upload(&session, "a.png", "image", "image/png", &starting(b"%PDF-1.7", 600)).await;
    let key = bucket.key_of(&session, &wrong).await;
    rejected(&client, &session, &wrong, "CONTENT_MISMATCH").await;
    assert!(bucket.get(&key).await.is_none(), "its object is deleted at once");
    // The session takes files again, and the wrong one stays until it is replaced.
    let _ = client.upload(&session, "b.png", "image", "image/png", b"\x89PNG\r\n\x1a\n..").await;
    rejected(&client, &session, &wrong, "CONTENT_MISMATCH").await;
    let state = client.get(&path::session(&session)).await.success(200);
    let shown = |file: &&Value| file["fileId"] == json!(wrong);
    let shown = state["files"].as_array().and_then(|files| files.iter().find(shown)).expect("the file");
    assert!(shown.get("fileUrl").is_none(), "{shown}");
    let right = client.upload(&session, "a.png", "image", "image/png", &starting(b"\x89PNG\r\n\x1a\n", 600)).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let ids = moc["files"].as_array().expect("files").iter().map(|file| &file["id"]);
    assert!(ids.clone().count() == 3 && ids.clone().any(|id| *id == json!(right)), "{moc}");
}

#[tokio::test]
async fn forty_files_are_checked_at_once() {
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let _ = client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(100)).await;
    let names: Vec<String> = (0..39).map(|number| format!("{number}.gif")).collect();
    let uploads = names.iter().map(|name| client.upload(&session, name, "image", "image/gif", b"GIF89a.."));
    futures::future::join_all(uploads).await;
    let moc: Value = client.finalize(&session, &unique_title()).await.success(201);
    assert_eq!(moc["files"].as_array().map(Vec::len), Some(40));
}
