//! The events of parts that came in a batch: those of parts that came one by one.

use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::own_stack;
use serde_json::{Value, json};

use super::{kinds, shared, watched};
use crate::batch::{form_of, post, stored};

#[tokio::test]
async fn each_part_of_a_batch_is_reported_of() {
    own_stack!();
    let client = shared().client();
    let (session, mut socket) = watched(&client).await;
    let bytes = pdf(PART_BYTES + 10);
    let file = client.register_pdf(&session, bytes.len()).await;
    let response = post(&client, &session, &file, form_of(&bytes, &[2, 1])).await.success(200);
    assert_eq!(response, stored(&bytes, &[1, 2]));

    let events = socket.take(5).await;
    let part = ["part_uploaded", "upload.part.completed"];
    assert_eq!(kinds(&events), [&["file_registered"][..], &part, &part].concat());
    let of_parts: Vec<&Value> = events.iter().filter(|event| event["type"] == part[1]).collect();
    let mut emitted: Vec<Value> =
        of_parts.iter().map(|event| json!({ "partNumber": event["partNumber"], "etag": event["etag"] })).collect();
    emitted.sort_by_key(|event| event["partNumber"].as_u64());
    assert_eq!(Value::from(emitted), response);
    let counts: Vec<_> = of_parts.iter().map(|event| (&event["completedParts"], &event["percentComplete"])).collect();
    assert_eq!(counts, [(&json!(1), &json!(50)), (&json!(2), &json!(100))]);
    socket.has_no_more().await;
}
