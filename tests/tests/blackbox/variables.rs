//! The effects of the variables.

use moc_tests::content::{MIB, PART_BYTES, pdf};
use moc_tests::fault_proxy::FaultProxy;
use moc_tests::{Stack, declared, declared_pdf, local_host, own_stack, path, unique_title};
use serde_json::json;

#[tokio::test]
async fn part_size_limits_and_addresses_are_configured() {
    own_stack!();
    let variables = [
        ("multipart_part_size_mb", "6"),
        ("instruction_max_mb", "13"),
        ("parts_list_max_mb", "2"),
        ("image_max_mb", "3"),
        ("presigned_url_ttl_minutes", "2"),
        ("public_base_url", "https://cdn.example/files/"),
        ("dev_user_sub", "somebody"),
    ];
    let stack = Stack::start(&variables);
    let client = stack.client();
    let bytes = pdf(12 * MIB + 1);
    let created = client.post(path::SESSIONS, &json!({ "files": [declared_pdf(bytes.len())] })).await;
    assert_eq!(created.success(201)["partSizeBytes"], 6 * MIB);
    let session = created.text_of("sessionId");
    for (name, category, media_type, limit) in [
        ("a.pdf", "instruction", "application/pdf", 13 * MIB),
        ("a.csv", "parts-list", "text/csv", 2 * MIB),
        ("a.png", "image", "image/png", 3 * MIB),
        ("t.png", "thumbnail", "image/png", 3 * MIB),
    ] {
        let too_large = json!({ "files": [declared_pdf(1), declared(name, category, media_type, limit + 1)] });
        let problem = client.post(path::SESSIONS, &too_large).await.problem(413, "FILE_TOO_LARGE");
        assert_eq!(problem["limitBytes"], limit);
        let reply = client.try_register(&session, name, category, media_type, limit + 1).await;
        assert_eq!(reply.problem(413, "FILE_TOO_LARGE")["limitBytes"], limit);
    }

    let short = json!({ "fileKey": "castle.pdf", "fileSizeBytes": bytes.len(), "partCount": 1 });
    let registered = client.post(&path::files(&session), &short).await;
    let body = registered.success(201);
    assert_eq!((&body["partsTotal"], &body["partSizeBytes"]), (&json!(3), &json!(6 * MIB)));
    let url = body["presignedUrls"][0]["url"].as_str().expect("a URL");
    assert!(url.contains("X-Amz-Expires=120&"), "{url}");

    let file = registered.text_of("fileId");
    for (number, part) in (1..).zip(bytes.chunks(6 * MIB)) {
        let _ = client.put_part(&session, &file, number, part.to_vec()).await.success(200);
    }
    let completed = client.complete(&session, &file).await.success(200);
    let key = format!("uploads/somebody/{session}/{file}/castle.pdf");
    // Not at its public address before it is verified.
    let signed = format!("{}/moc-uploads/{key}?X-Amz-Algorithm=", stack.s3_url());
    assert!(completed["fileUrl"].as_str().is_some_and(|url| url.starts_with(&signed)), "{completed}");
    assert!(stack.bucket().get(&key).await == Some(bytes), "byte for byte");
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let public = json!(format!("https://cdn.example/files/{key}"));
    assert_eq!((&moc["userId"], &moc["files"][0]["url"]), (&json!("somebody"), &public));
}

/// Requests of the host, of a client to presigned URLs, and of readers.
#[tokio::test]
async fn an_s3_may_be_below_a_path() {
    own_stack!();
    let below = "/storage/v1/s3";
    let proxy = FaultProxy::start_below(below, moc_tests::s3_url());
    let stack = Stack::start(&[("s3_endpoint", &proxy.endpoint()), ("s3_path", below)]);
    let client = stack.client();
    let bytes = pdf(PART_BYTES + 9);
    let session = client.create_session().await;
    let body = json!({ "fileKey": "castle.pdf", "fileSizeBytes": bytes.len(), "partCount": 1 });
    let registered = client.post(&path::files(&session), &body).await;
    let file = registered.text_of("fileId");
    let url = registered.success(201)["presignedUrls"][0]["url"].as_str().expect("a URL").to_owned();
    let first = stack.bucket().put_presigned(&url, bytes[..PART_BYTES].to_vec()).await;
    let second = client.put_part(&session, &file, 2, bytes[PART_BYTES..].to_vec()).await.success(200);
    let parts = json!([{ "partNumber": 1, "etag": first }, { "partNumber": 2, "etag": second["etag"] }]);
    let completed = client.post(&path::complete(&session, &file), &json!({ "parts": parts })).await.success(200);
    let key = format!("uploads/dev-user/{session}/{file}/castle.pdf");
    let url = format!("{}{below}/moc-uploads/{key}", proxy.endpoint());
    let signed = completed["fileUrl"].as_str().expect("a URL");
    assert!(signed.starts_with(&format!("{url}?")), "{signed}");
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    assert_eq!(moc["files"][0]["url"], json!(url));
    for url in [&url, signed] {
        let read = reqwest::get(url).await.expect("a response").bytes().await.expect("the whole object");
        assert!(read == bytes, "byte for byte");
    }
}

#[tokio::test]
async fn a_session_keeps_the_part_size_that_it_began_with() {
    own_stack!();
    let before = Stack::start(&[]);
    let after = Stack::start_next_to_with(&before, &[("multipart_part_size_mb", "8")]);
    let (session, bytes) = (before.client().create_session().await, pdf(6 * MIB));
    let client = after.client();
    assert_eq!(client.get(&path::session(&session)).await.success(200)["partSizeBytes"], 5 * MIB);
    let reply = client.try_register(&session, "castle.pdf", "instruction", "application/pdf", bytes.len()).await;
    let body = reply.success(201);
    assert_eq!((&body["partsTotal"], &body["partSizeBytes"]), (&json!(2), &json!(5 * MIB)));
    client.put_parts(&session, &reply.text_of("fileId"), &bytes).await;
    let _ = client.complete(&session, &reply.text_of("fileId")).await.success(200);
}

#[test]
fn a_variable_that_cannot_be_read_stops_the_start_with_a_sentence_that_names_it() {
    local_host!();
    let state = moc_tests::temporary_folder();
    let (rejected, said) = moc_tests::host::rejected(state.path(), &[("multipart_part_size_mb", "4")]);
    assert!(rejected, "{said}");
    assert!(said.contains("the variable multipart_part_size_mb must be an integer from 5 to 100"), "{said}");
}

/// Whoever sets the variable from a secret that does not exist must not let everyone in.
#[test]
fn an_empty_secret_does_not_turn_authentication_off() {
    local_host!();
    for name in ["jwt_secret", "jwt_jwks_url"] {
        let state = moc_tests::temporary_folder();
        let (rejected, said) = moc_tests::host::rejected(state.path(), &[(name, "")]);
        assert!(!rejected && said.contains("every request is rejected"), "{said}");
        assert!(!said.contains("auth_bypass"), "{said}");
    }
}

#[test]
fn a_bypass_next_to_a_secret_stops_the_start() {
    local_host!();
    let secret = ("jwt_secret", "a-secret-of-at-least-thirty-two-bytes");
    let keys = ("jwt_jwks_url", "http://127.0.0.1/keys");
    for other in [secret, keys] {
        let state = moc_tests::temporary_folder();
        let (rejected, said) = moc_tests::host::rejected(state.path(), &[("auth_bypass", "true"), other]);
        assert!(rejected && said.contains("auth_bypass must not be set together with"), "{said}");
    }
}
