//! The thumbnail that follows a finalize. What it looks like, the tests of the thumbnailer's own crate say.

#[path = "../../pictures/hostile.rs"]
mod hostile;

use std::time::Duration;

use moc_tests::content::{MIB, starting};
use moc_tests::fault_proxy::{Fault, FaultProxy, Operation, Times};
use moc_tests::{Client, Stack, components_apart, own_stack, path, unique_title, wait_for};
use reqwest::Method;
use serde_json::Value;

/// Longest time that a test waits for a thumbnail.
const PATIENCE: Duration = Duration::from_secs(20);
const ON: (&str, &str) = ("enable_thumbnail_generation", "true");
const JPEG: &[u8] = include_bytes!("../../pictures/baseline.jpg");

/// A MOC of an instruction and these pictures; gives its session.
async fn upload(client: &Client, pictures: &[(&str, &str, &[u8])]) -> String {
    let (session, _) = client.upload_pdf(1_000).await;
    for (name, media_type, bytes) in pictures {
        let _ = client.upload(&session, name, "image", media_type, bytes).await;
    }
    session
}

/// The address of a MOC's thumbnail, once there is one.
async fn thumbnail_url(client: &Client, moc: &str) -> String {
    let ask = async || {
        let moc = client.get(&path::moc(moc)).await.success(200);
        moc["thumbnailUrl"].as_str().map(str::to_owned)
    };
    wait_for("a thumbnail", PATIENCE, ask).await
}

fn id(moc: &Value) -> &str {
    moc["id"].as_str().expect("an id")
}

/// Width and height, of the frame header (ITU-T T.81, B.2.2).
fn jpeg_size(bytes: &[u8]) -> (u16, u16) {
    let mut at = 2;
    loop {
        let [0xff, marker, length_high, length_low] = bytes[at..at + 4] else { panic!("no segment at {at}") };
        if matches!(marker, 0xc0..=0xc2) {
            let number = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
            return (number(at + 7), number(at + 5));
        }
        at += 2 + usize::from(u16::from_be_bytes([length_high, length_low]));
    }
}

#[tokio::test]
async fn th_hp_001_a_finalize_with_an_image_gets_a_thumbnail() {
    own_stack!();
    let stack = Stack::start(&[ON, ("public_base_url", "https://cdn.example/files")]);
    let client = stack.client();
    let gif: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
    let session = upload(&client, &[("a.jpg", "image/jpeg", JPEG), ("b.gif", "image/gif", gif)]).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    assert_eq!(moc["thumbnailUrl"], Value::Null, "the response does not wait for it");
    let key = format!("{}/thumbnail.jpg", id(&moc));
    assert_eq!(thumbnail_url(&client, id(&moc)).await, format!("https://cdn.example/files/{key}"));
    let thumbnail = stack.bucket().get(&key).await.expect("an object");
    assert_eq!(&thumbnail[..3], b"\xff\xd8\xff");
    assert_eq!(jpeg_size(&thumbnail), (300, 300));
    assert!((2_000..60_000).contains(&thumbnail.len()), "a photograph, not the GIF's one colour: {}", thumbnail.len());
    let again = client.finalize(&session, &unique_title()).await.success(200);
    assert_eq!(again["thumbnailUrl"], format!("https://cdn.example/files/{key}"));
    assert!(!stack.log().contains("\"level\":\"warn\",\"message\":\"MOC"), "{}", stack.log());
}

/// A picture that cannot be one costs a warning, and nobody else anything.
#[tokio::test]
async fn what_cannot_be_a_thumbnail_is_a_warning() {
    own_stack!();
    let stack = Stack::start(&[ON, ("image_max_mb", "12")]);
    let client = stack.client();
    let png = |bytes| {
        starting(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\xea\x60\x00\x00\xea\x60\x08\x06\x00\x00\x00", bytes)
    };
    let cut = &JPEG[..JPEG.len() / 8];
    let too_large = png(10 * MIB + 1);
    let bomb = png(600);
    let hostile: [&[(&str, &str, &[u8])]; 4] = [
        &[("bomb.png", "image/png", &bomb)],
        &[("cut.jpg", "image/jpeg", cut)],
        &[("large.png", "image/png", &too_large)],
        &[("none.gif", "image/gif", b"GIF89a..")],
    ];
    for pictures in hostile {
        let session = upload(&client, pictures).await;
        let moc = client.finalize(&session, &unique_title()).await.success(201);
        let _ = stack.logged(&format!("MOC {} gets no thumbnail: ", id(&moc))).await;
        assert_eq!(client.get(&path::moc(id(&moc))).await.success(200)["thumbnailUrl"], Value::Null);
    }
    // Their neighbours are well.
    let session = upload(&client, &[("a.jpg", "image/jpeg", JPEG)]).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let _ = thumbnail_url(&client, id(&moc)).await;
}

#[tokio::test]
async fn a_moc_without_pictures_gets_none_and_no_warning() {
    own_stack!();
    let stack = Stack::start(&[ON]);
    let client = stack.client();
    let (session, _) = client.upload_pdf(1_000).await;
    let _ = client.upload(&session, "a.csv", "parts-list", "text/csv", b"part,count\n").await;
    let plain = client.finalize(&session, &unique_title()).await.success(201);
    // The log of the second one comes after that of the first, if there were any.
    let session = upload(&client, &[("none.gif", "image/gif", b"GIF89a..")]).await;
    let broken = client.finalize(&session, &unique_title()).await.success(201);
    let _ = stack.logged(&format!("MOC {} gets no thumbnail: ", id(&broken))).await;
    assert!(!stack.log().contains(&format!("MOC {}", id(&plain))), "{}", stack.log());
}

/// A finalize that is repeated makes the thumbnail that an earlier one could not put into the bucket.
#[tokio::test]
async fn a_thumbnail_that_was_lost_is_made_by_a_finalize_again() {
    own_stack!();
    let proxy = FaultProxy::start(moc_tests::s3_url());
    let stack = Stack::start(&[ON, ("s3_endpoint", &proxy.endpoint())]);
    let client = stack.client();
    let session = upload(&client, &[("a.jpg", "image/jpeg", JPEG)]).await;
    let title = unique_title();
    proxy.fail(Operation::Other, "thumbnail.jpg", Times::Always, Fault::internal_error());
    let moc = client.finalize(&session, &title).await.success(201);
    let _ = stack.logged(&format!("MOC {} gets no thumbnail yet: ", id(&moc))).await;
    proxy.lift("thumbnail.jpg");
    // The next attempt is made after a pause.
    let finalize =
        async || client.finalize(&session, &title).await.success(200)["thumbnailUrl"].as_str().map(str::to_owned);
    let _ = wait_for("a thumbnail", PATIENCE, finalize).await;
}

/// Requests of 75 bytes must not have it decoded again, one after the other or at once.
#[tokio::test]
async fn a_picture_that_cannot_be_decoded_is_decoded_once() {
    own_stack!();
    let proxy = FaultProxy::start(moc_tests::s3_url());
    let stack = Stack::start(&[ON, ("s3_endpoint", &proxy.endpoint())]);
    let client = stack.client();
    let session = upload(&client, &[("none.gif", "image/gif", b"GIF89a..")]).await;
    let title = unique_title();
    let moc = client.finalize(&session, &title).await.success(201);
    let _ = stack.logged(&format!("MOC {} gets no thumbnail: ", id(&moc))).await;
    let read = proxy.count(Operation::Get, "none.gif");
    let finalizes = (0..20).map(async |_| client.finalize(&session, &title).await.success(200));
    let _ = futures::future::join_all(finalizes).await;
    // The picture of a later one is made after all of these had their turn.
    let next = upload(&client, &[("a.jpg", "image/jpeg", JPEG)]).await;
    let next = client.finalize(&next, &unique_title()).await.success(201);
    let _ = thumbnail_url(&client, id(&next)).await;
    assert_eq!(proxy.count(Operation::Get, "none.gif"), read);
    assert_eq!(stack.log().matches(&format!("MOC {} gets no thumbnail", id(&moc))).count(), 1);
}

/// The component gets them as they are, by a route of the test: none of them traps, which would end its neighbours.
#[tokio::test]
async fn responds_to_every_hostile_picture() {
    own_stack!();
    components_apart!();
    let stack = Stack::start_with_routes(&[("/thumbnail", "thumbnailer")], &[]);
    let client = stack.client();
    for picture in hostile::all() {
        let reply = client.send(client.request(Method::POST, "/thumbnail").body(picture.bytes)).await;
        let expected = match picture.outcome {
            hostile::Outcome::Rejected => reply.status == 422,
            hostile::Outcome::Picture => reply.status == 200,
            hostile::Outcome::Either => matches!(reply.status, 200 | 422),
        };
        assert!(expected, "{}: {}", picture.name, reply.status);
    }
}
