//! What a backup of the database brings back, and what becomes of everything after it.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::{Backup, Stack, own_database, path, unique_title};

/// Bytes of a file with two parts.
const TWO_PARTS: usize = PART_BYTES + 1_000;

#[tokio::test]
async fn a_restored_database_has_its_mocs_and_its_uploads_go_on() {
    own_database!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let (published, _) = client.upload_pdf(2_000).await;
    let moc = client.finalize(&published, &unique_title()).await.success(201);
    let session = client.create_session().await;
    let content = pdf(TWO_PARTS);
    let file = client.register_pdf(&session, TWO_PARTS).await;
    let _ = client.put_part(&session, &file, 1, content[..PART_BYTES].to_vec()).await.success(200);

    // The database first, then the objects.
    let backup = Backup::of(&stack);
    let bucket = stack.bucket();
    let mut objects = Vec::new();
    for key in bucket.list(&format!("uploads/dev-user/{published}/")).await {
        let bytes = bucket.get(&key).await.expect("an object");
        objects.push((key, bytes));
    }

    // What the backup does not have: a part, and a MOC.
    let _ = client.put_part(&session, &file, 2, content[PART_BYTES..].to_vec()).await.success(200);
    let (late, _) = client.upload_pdf(2_000).await;
    let late_moc = client.finalize(&late, &unique_title()).await.success(201);
    let s3_url = stack.s3_url().to_owned();
    drop(stack);
    for (key, _) in &objects {
        bucket.delete(key).await;
    }

    let restored = backup.restore(&s3_url);
    let client = restored.client();
    let key = moc["files"][0]["key"].as_str().expect("a key");
    assert_eq!(bucket.get(key).await, None);
    for (key, bytes) in objects {
        bucket.put(&key, bytes).await;
    }
    let shown = client.get(&path::moc(moc["id"].as_str().expect("an id"))).await.success(200);
    assert_eq!(shown, moc);
    assert_eq!(bucket.get(key).await, Some(pdf(2_000)));

    assert_eq!(client.stored_parts(&session, &file).await, [1]);
    let _ = client.put_part(&session, &file, 2, content[PART_BYTES..].to_vec()).await.success(200);
    let _ = client.complete(&session, &file).await.success(200);
    let resumed = client.finalize(&session, &unique_title()).await.success(201);
    let key = resumed["files"][0]["key"].as_str().expect("a key");
    assert_eq!(bucket.get(key).await, Some(content));

    // Of the later MOC only the object is left.
    let _ = client.get(&path::moc(late_moc["id"].as_str().expect("an id"))).await.problem(404, "NOT_FOUND");
    let _ = client.get(&path::session(&late)).await.problem(404, "NOT_FOUND");
    let key = late_moc["files"][0]["key"].as_str().expect("a key");
    assert_eq!(bucket.get(key).await, Some(pdf(2_000)));
}

#[tokio::test]
async fn a_file_that_was_completed_after_the_backup_is_completed_again() {
    own_database!();
    let stack = Stack::start(&[]);
    let client = stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, 2_000).await;
    client.put_parts(&session, &file, &pdf(2_000)).await;
    let backup = Backup::of(&stack);
    let completed = client.complete(&session, &file).await.success(200);
    let s3_url = stack.s3_url().to_owned();
    drop(stack);

    let restored = backup.restore(&s3_url);
    let client = restored.client();
    assert_eq!(client.complete(&session, &file).await.success(200)["etag"], completed["etag"]);
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}

#[tokio::test]
async fn what_a_restored_bucket_lacks_is_reported_and_can_be_uploaded_again() {
    own_database!();
    let stack = Stack::shared();
    let (client, bucket) = (stack.client(), stack.bucket());
    let (session, file) = client.upload_pdf(2_000).await;
    let pending = client.register(&session, "front.png", "image", "image/png", 1_000).await;
    let upload = format!("SELECT upload_id FROM files WHERE id = '{pending}'");
    let object_key = format!("SELECT object_key FROM files WHERE id = '{pending}'");
    let value = |query: &str| stack.database().value(query).expect("a value");
    let (key, upload) = (value(&object_key), value(&upload));

    // As after a restore of the bucket to a time before both.
    bucket.delete(&bucket.key_of(&session, &file).await).await;
    bucket.abort(&key, &upload).await;

    let part = client.put_part(&session, &pending, 1, pdf(1_000)).await;
    let problem = part.problem(422, "FILE_VALIDATION_FAILED");
    assert_eq!(problem["failures"][0]["reason"], "OBJECT_MISSING", "{problem}");
    let _ = client.complete(&session, &pending).await.problem(404, "NOT_FOUND");
    let problem = client.finalize(&session, &unique_title()).await.problem(422, "FILE_VALIDATION_FAILED");
    assert_eq!(problem["failures"][0]["reason"], "OBJECT_MISSING", "{problem}");

    client.upload(&session, "castle.pdf", "instruction", "application/pdf", &pdf(2_000)).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
}
