//! What arrives, in which order, and with which numbers.

use futures::future::join_all;
use moc_tests::content::{MIB, PART_BYTES, md5_hex, multipart_etag, pdf, starting};
use moc_tests::{own_stack, path, unique_title};
use serde_json::{Value, json};

use super::{kinds, shared, watched};

/// A file of the session, as its events name it.
struct Watched<'a> {
    session: &'a str,
    file: &'a str,
    bytes: &'a [u8],
}

impl Watched<'_> {
    fn parts(&self) -> usize {
        self.bytes.len().div_ceil(PART_BYTES)
    }

    /// An event of the session's life, its time left out.
    fn lifecycle(&self, kind: &str, completed: &[usize], metadata: &Value) -> Value {
        let stored: usize = completed.iter().map(|number| self.part(*number).len()).sum();
        let progress = json!({
            "partsCompleted": completed.len(), "partsTotal": self.parts(),
            "bytesCompleted": stored, "bytesTotal": self.bytes.len(),
        });
        json!({
            "type": kind, "sessionId": self.session, "fileId": self.file, "progress": progress, "metadata": metadata,
        })
    }

    fn part(&self, number: usize) -> &[u8] {
        self.bytes.chunks(PART_BYTES).nth(number - 1).expect("a part")
    }

    /// Both events of a part, the last of those that are completed.
    fn uploaded(&self, completed: &[usize], percent: u8) -> [Value; 2] {
        let number = *completed.last().expect("a part");
        let etag = format!("\"{}\"", md5_hex(self.part(number)));
        [
            self.lifecycle("part_uploaded", completed, &json!({ "partNumber": number, "etag": etag })),
            json!({
                "type": "upload.part.completed", "sessionId": self.session, "fileId": self.file,
                "partNumber": number, "etag": etag, "totalParts": self.parts(),
                "completedParts": completed.len(), "percentComplete": percent,
            }),
        ]
    }
}

/// Takes the times and numbers out of events, which must not go back; each of so many steps has a number of its own.
fn without_times_and_numbers(mut events: Vec<Value>, steps: usize) -> Vec<Value> {
    let mut numbers = numbers(&events);
    assert!(numbers.is_sorted(), "{numbers:?}");
    numbers.dedup();
    assert_eq!(numbers.len(), steps, "{numbers:?}");
    for event in events.iter_mut().filter_map(Value::as_object_mut) {
        event.remove("sequence");
    }
    let taken = events.iter_mut().filter_map(|event| event.as_object_mut()?.remove("timestamp"));
    let times: Vec<String> = taken.map(|time| time.as_str().expect("a time").to_owned()).collect();
    assert!(times.is_sorted(), "{times:?}");
    events
}

/// The `sequence` of each event.
fn numbers(events: &[Value]) -> Vec<u64> {
    events.iter().map(|event| event["sequence"].as_u64().expect("a number")).collect()
}

#[tokio::test]
async fn ws_hp_001_two_files_from_the_first_event_to_the_last() {
    own_stack!();
    let client = shared().client();
    let (session, mut socket) = watched(&client).await;
    let (document, picture) = (pdf(2 * PART_BYTES + 100), starting(b"\x89PNG\r\n\x1a\n", 700));

    let castle = client.register_pdf(&session, document.len()).await;
    let front = client.register(&session, "front.png", "image", "image/png", picture.len()).await;
    let castle = Watched { session: &session, file: &castle, bytes: &document };
    let front = Watched { session: &session, file: &front, bytes: &picture };
    // The last part first, and the one in the middle again.
    for number in [3, 2, 2] {
        let part = castle.part(number).to_vec();
        let _ = client.put_part(&session, castle.file, number as u64, part).await.success(200);
    }
    client.put_parts(&session, front.file, &picture).await;
    let _ = client.complete(&session, front.file).await.success(200);
    let _ = client.put_part(&session, castle.file, 1, castle.part(1).to_vec()).await.success(200);
    let _ = client.complete(&session, castle.file).await.success(200);
    let moc = client.finalize(&session, &unique_title()).await.success(201);

    let metadata = |category: &str, name: &str| json!({ "category": category, "name": name });
    let completed = |watched: &Watched, name: &str| {
        let all: Vec<usize> = (1..=watched.parts()).collect();
        let etag = multipart_etag(watched.bytes.chunks(PART_BYTES));
        watched.lifecycle("file_completed", &all, &json!({ "name": name, "etag": etag }))
    };
    let expected = [
        vec![castle.lifecycle("file_registered", &[], &metadata("instruction", "castle.pdf"))],
        vec![front.lifecycle("file_registered", &[], &metadata("image", "front.png"))],
        castle.uploaded(&[3], 33).to_vec(),
        castle.uploaded(&[3, 2], 66).to_vec(),
        castle.uploaded(&[3, 2], 66).to_vec(),
        front.uploaded(&[1], 100).to_vec(),
        vec![completed(&front, "front.png")],
        castle.uploaded(&[3, 2, 1], 100).to_vec(),
        vec![completed(&castle, "castle.pdf")],
        vec![
            json!({ "type": "session_finalized", "sessionId": session, "metadata": { "mocId": moc["id"] } }),
            json!({
                "type": "upload.session.finalized", "sessionId": session, "mocId": moc["id"], "status": "success",
            }),
        ],
    ];
    let (steps, expected) = (expected.len(), expected.concat());
    let received = without_times_and_numbers(socket.take(expected.len()).await, steps);
    assert_eq!(kinds(&received), kinds(&expected));
    for (received, expected) in received.iter().zip(&expected) {
        assert_eq!(received, expected);
    }

    // What is done already is not emitted again.
    let _ = client.complete(&session, castle.file).await.success(200);
    let _ = client.finalize(&session, &unique_title()).await.success(200);
    socket.has_no_more().await;
}

#[tokio::test]
async fn sixteen_parts_at_once_count_from_one_to_sixteen_in_the_order_of_their_numbers() {
    own_stack!();
    let client = shared().client();
    let (session, mut socket) = watched(&client).await;
    let bytes = pdf(15 * PART_BYTES + MIB);
    let file = client.register_pdf(&session, bytes.len()).await;
    assert_eq!(kinds(&socket.take(1).await), ["file_registered"]);
    let sends = (1..).zip(bytes.chunks(PART_BYTES)).map(async |(number, part)| {
        let _ = client.put_part(&session, &file, number, part.to_vec()).await.success(200);
    });
    assert_eq!(join_all(sends).await.len(), 16);

    let events = socket.take(32).await;
    let (mut counts, mut parts) = (Vec::new(), Vec::new());
    for pair in events.chunks(2) {
        let [uploaded, completed] = pair else { panic!("an odd number of events") };
        assert_eq!(kinds(pair), ["part_uploaded", "upload.part.completed"], "each part's two events stand together");
        assert_eq!(uploaded["metadata"]["partNumber"], completed["partNumber"]);
        assert_eq!(uploaded["metadata"]["etag"], completed["etag"]);
        assert_eq!(uploaded["sequence"], completed["sequence"]);
        let number = completed["partNumber"].as_u64().expect("a number");
        let part = bytes.chunks(PART_BYTES).nth(number as usize - 1).expect("a part of the file");
        assert_eq!(completed["etag"], format!("\"{}\"", md5_hex(part)));
        let count = completed["completedParts"].as_u64().expect("a number");
        assert_eq!(uploaded["progress"]["partsCompleted"], count);
        // Only with the last one it says 100.
        assert_eq!((&completed["percentComplete"], &completed["totalParts"]), (&json!(100 * count / 16), &json!(16)));
        let stored = uploaded["progress"]["bytesCompleted"].as_u64().expect("a number") as usize;
        let whole = count as usize * PART_BYTES;
        assert!([whole, whole - PART_BYTES + MIB].contains(&stored), "{uploaded}");
        counts.push((completed["sequence"].as_u64().expect("a number"), count));
        parts.push(number);
    }
    // However the events of several instances cross.
    counts.sort_unstable();
    assert!(counts.iter().map(|(_, count)| *count).eq(1..=16), "{counts:?}");
    parts.sort_unstable();
    assert!(parts.into_iter().eq(1..=16));
    let state = client.get(&path::session(&session)).await.success(200);
    assert_eq!(Some(state["sequence"].as_u64().expect("a number")), counts.last().map(|(sequence, _)| *sequence));
    let last = events.iter().find(|event| event["progress"]["partsCompleted"] == 16).expect("one of all parts");
    assert_eq!(last["progress"]["bytesCompleted"], json!(bytes.len()));
    socket.has_no_more().await;
}
