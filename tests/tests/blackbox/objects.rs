//! What the bucket says of objects, and where they can be read.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::{Stack, own_stack, path, unique_title};
use reqwest::header::HeaderMap;
use serde_json::Value;

async fn headers(url: &str) -> HeaderMap {
    let response = reqwest::get(url).await.expect("a response");
    assert_eq!(response.status(), 200, "{url}");
    response.headers().clone()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().expect("a header is ASCII"))
}

/// The URL of the file of this name.
fn url(moc: &Value, name: &str) -> String {
    let files = moc["files"].as_array().expect("files");
    let file = files.iter().find(|file| file["name"] == name).unwrap_or_else(|| panic!("no {name}: {moc}"));
    file["url"].as_str().expect("a URL").to_owned()
}

#[tokio::test]
async fn objects_are_saved_under_their_names_unless_browsers_may_show_them() {
    own_stack!();
    let client = Stack::shared().client();
    let session = client.create_session().await;
    let script = b"<parts><script xmlns='http://www.w3.org/1999/xhtml'>alert(1)</script></parts>";
    let pdf: &[u8] = b"%PDF-1.7\n";
    let files = [
        (
            "Schlo\u{df} 2.pdf",
            "instruction",
            "application/pdf",
            pdf,
            "application/pdf",
            "inline; filename=\"Schlo_ 2.pdf\"; filename*=UTF-8''Schlo%C3%9F%202.pdf",
        ),
        ("castle.png", "image", "image/png", b"\x89PNG\r\n\x1a\n..", "image/png", "inline; filename=\"castle.png\""),
        // What the client says of it counts for nothing.
        ("list.xml", "parts-list", "application/xml", script, "text/xml", "attachment; filename=\"list.xml\""),
        (
            "list.html",
            "parts-list",
            "text/csv",
            b"<script>alert(1)</script>",
            "text/csv",
            "attachment; filename=\"list.html.csv\"",
        ),
    ];
    for (name, category, media_type, bytes, ..) in files {
        let _ = client.upload(&session, name, category, media_type, bytes).await;
    }
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    for (file, (.., media_type, disposition)) in moc["files"].as_array().expect("files").iter().zip(files) {
        let headers = headers(file["url"].as_str().expect("a URL")).await;
        assert!(text(&headers, "content-type").starts_with(media_type), "{headers:?}");
        assert_eq!(text(&headers, "content-disposition"), disposition);
        assert_eq!(headers.get("cache-control"), None);
    }
}

#[tokio::test]
async fn a_private_bucket_gets_signed_urls_of_the_origin_that_clients_reach() {
    own_stack!();
    let s3 = moc_tests::s3_url();
    let public = s3.replace("127.0.0.1", "localhost");
    let stack = Stack::start(&[
        ("download_urls", "signed"),
        ("download_url_ttl_minutes", "2"),
        ("object_cache_control", "private, max-age=60"),
        ("s3_public_endpoint", &public),
        ("s3_storage_class", "STANDARD"),
        ("s3_server_side_encryption", "AES256"),
        ("public_base_url", "https://cdn.example"),
    ]);
    let client = stack.client();
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 7);
    let file = client.register_pdf(&session, bytes.len()).await;
    let wanted = serde_json::json!({ "partNumbers": [1] });
    let urls = client.post(&path::part_urls(&session, &file), &wanted).await.success(200);
    assert!(urls["urls"][0]["url"].as_str().is_some_and(|url| url.starts_with(&format!("{public}/"))), "{urls}");
    client.put_parts(&session, &file, &bytes).await;
    let completed = client.complete(&session, &file).await.success(200);
    let made = client.finalize(&session, &unique_title()).await;
    let shown = client.get(made.header("location").expect("a Location")).await.success(200);
    let again = client.complete(&session, &file).await.success(200);
    let of = |body: &Value| body["fileUrl"].as_str().expect("a URL").to_owned();
    for signed in [of(&completed), of(&again), url(&made.success(201), "castle.pdf"), url(&shown, "castle.pdf")] {
        assert!(signed.starts_with(&format!("{public}/")) && signed.contains("X-Amz-Expires=120&"), "{signed}");
        let headers = headers(&signed).await;
        assert_eq!(text(&headers, "content-disposition"), "inline; filename=\"castle.pdf\"");
        assert_eq!(text(&headers, "cache-control"), "private, max-age=60");
        let forged = signed.replace("X-Amz-Expires=120&", "X-Amz-Expires=240&");
        assert_eq!(reqwest::get(forged).await.expect("a response").status(), 403);
    }
}

#[tokio::test]
async fn buckets_that_require_checksums_get_one_of_every_part() {
    own_stack!();
    let bytes = pdf(PART_BYTES + 7);
    for checksum in ["md5", "crc64nvme"] {
        let stack = Stack::start(&[("s3_checksums", checksum)]);
        let client = stack.client();
        let (session, file) = client.upload_pdf(bytes.len()).await;
        let key = stack.bucket().key_of(&session, &file).await;
        assert!(stack.bucket().get(&key).await.as_ref() == Some(&bytes), "{checksum}: byte for byte");
        let wanted = serde_json::json!({ "partNumbers": [1] });
        let other = client.try_register(&session, "b.pdf", "instruction", "application/pdf", 10).await;
        let urls = client.post(&path::part_urls(&session, &other.text_of("fileId")), &wanted).await;
        if checksum == "md5" {
            assert_eq!(urls.problem(422, "VALIDATION_ERROR")["errors"][0]["pointer"], "/contentMd5/1");
        } else {
            let _ = urls.success(200);
        }
    }
}
