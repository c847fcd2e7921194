//! The numbers in the events: true whatever order parts come in, however often.

use futures::future::join_all;
use moc_tests::content::{MIB, PART_BYTES, noise, pdf};
use moc_tests::own_stack;

use super::Relayed;

const PART: u64 = PART_BYTES as u64;

#[tokio::test]
async fn sixteen_parts_at_once_are_counted_one_by_one() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let bytes = pdf(15 * PART_BYTES + MIB);
    let file = client.register_pdf(&session, bytes.len()).await;
    let sends = (1..).zip(bytes.chunks(PART_BYTES)).map(async |(number, part)| {
        let _ = client.put_part(&session, &file, number, part.to_vec()).await.success(200);
    });
    assert_eq!(join_all(sends).await.len(), 16);

    // Those of two instances may cross, but for the last.
    let mut emitted = relayed.parts(&session, &file);
    assert!(matches!(emitted.last(), Some([_, 16, _, 100])), "{emitted:?}");
    emitted.sort_unstable_by_key(|[_, completed, ..]| *completed);
    let counts: Vec<u64> = emitted.iter().map(|[_, completed, ..]| *completed).collect();
    assert_eq!(counts, (1..=16).collect::<Vec<_>>(), "{emitted:?}");
    let mut numbers: Vec<u64> = emitted.iter().map(|[number, ..]| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=16).collect::<Vec<_>>(), "{emitted:?}");
    let mut sum = 0;
    for [number, completed, stored, percent] in emitted {
        sum += if number == 16 { MIB as u64 } else { PART };
        assert_eq!((stored, percent), (sum, completed * 100 / 16), "part {number}, {completed} of them");
    }
    assert_eq!(sum, bytes.len() as u64);
}

#[tokio::test]
async fn the_last_part_makes_it_a_hundred_per_cent_wherever_it_stands() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 7);
    let file = client.register_pdf(&session, bytes.len()).await;
    let parts: Vec<&[u8]> = bytes.chunks(PART_BYTES).collect();
    for number in [3, 1, 1, 2, 3] {
        let _ = client.put_part(&session, &file, number, parts[number as usize - 1].to_vec()).await.success(200);
    }
    // With other bytes of the same length as well.
    let _ = client.put_part(&session, &file, 2, noise(PART_BYTES, 5)).await.success(200);
    let all = 2 * PART + 7;
    let expected = [
        [3, 1, 7, 33],
        [1, 2, PART + 7, 66],
        [1, 2, PART + 7, 66],
        [2, 3, all, 100],
        [3, 3, all, 100],
        [2, 3, all, 100],
    ];
    assert_eq!(relayed.parts(&session, &file), expected);
}

#[tokio::test]
async fn a_part_that_is_sent_at_once_eight_times_counts_once() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let file = client.register_pdf(&session, PART_BYTES + 100).await;
    let sends = (0..8).map(async |seed| {
        let _ = client.put_part(&session, &file, 2, noise(100, seed)).await.success(200);
    });
    join_all(sends).await;
    assert_eq!(relayed.parts(&session, &file), [[2, 1, 100, 50]; 8]);
}

/// Two files of a session count for themselves, and its events stay in order.
#[tokio::test]
async fn files_at_once_count_for_themselves() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let bytes = pdf(3 * PART_BYTES);
    let files = join_all(
        ["a.pdf", "b.pdf"].map(|name| client.upload(&session, name, "instruction", "application/pdf", &bytes)),
    );
    for file in files.await {
        let expected = [[1, 1, PART, 33], [2, 2, 2 * PART, 66], [3, 3, 3 * PART, 100]];
        assert_eq!(relayed.parts(&session, &file), expected);
        let events = relayed.events(&session);
        let kinds: Vec<&str> = events
            .iter()
            .filter(|event| event["fileId"] == file.as_str())
            .filter_map(|event| event["type"].as_str())
            .collect();
        let part = ["part_uploaded", "upload.part.completed"];
        assert_eq!(kinds, [&["file_registered"][..], &part, &part, &part, &["file_completed"]].concat());
    }
}

/// Parts that the client puts into the bucket itself are reported with the file's completion.
#[tokio::test]
async fn presigned_parts_are_reported_by_the_completion() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let bytes = pdf(PART_BYTES + 9);
    let register = serde_json::json!({ "fileKey": "castle.pdf", "fileSizeBytes": bytes.len(), "partCount": 2 });
    let registered = client.post(&moc_tests::path::files(&session), &register).await;
    let (file, urls) = (registered.text_of("fileId"), registered.success(201)["presignedUrls"].clone());
    let mut parts = Vec::new();
    for (number, part) in bytes.chunks(PART_BYTES).enumerate() {
        let url = urls[number]["url"].as_str().expect("a URL");
        let etag = relayed.stack.bucket().put_presigned(url, part.to_vec()).await;
        parts.push(serde_json::json!({ "partNumber": number + 1, "etag": etag }));
    }
    let complete = serde_json::json!({ "parts": parts });
    let _ = client.post(&moc_tests::path::complete(&session, &file), &complete).await.success(200);
    let events = relayed.events(&session);
    let kinds: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["session_created", "file_registered", "file_completed"]);
    let progress =
        serde_json::json!({ "partsCompleted": 2, "partsTotal": 2, "bytesCompleted": PART + 9, "bytesTotal": PART + 9 });
    assert_eq!(events[2]["progress"], progress);
}

/// Once they are recorded: each part as if it had come through the service, in part order.
#[tokio::test]
async fn direct_parts_are_reported_when_they_are_recorded() {
    own_stack!();
    let relayed = Relayed::shared();
    let client = relayed.stack.client();
    let session = client.create_session().await;
    let bytes = pdf(2 * PART_BYTES + 9);
    let file = client.register_pdf(&session, bytes.len()).await;
    let part = |number: u64, size: usize| serde_json::json!({ "partNumber": number, "etag": "d41d8cd98f00b204e9800998ecf8427e", "sizeBytes": size });
    let record = async |parts: &[serde_json::Value]| {
        let stored = moc_tests::path::stored_parts(&session, &file);
        let _ = client.post(&stored, &serde_json::json!({ "parts": parts })).await.success(200);
    };
    let _ = client.put_part(&session, &file, 2, bytes[PART_BYTES..2 * PART_BYTES].to_vec()).await.success(200);
    record(&[part(3, 9), part(1, PART_BYTES)]).await;
    record(&[part(3, 9)]).await;
    let all = 2 * PART + 9;
    let expected = [[2, 1, PART, 33], [1, 2, 2 * PART, 66], [3, 3, all, 100], [3, 3, all, 100]];
    assert_eq!(relayed.parts(&session, &file), expected);
}
