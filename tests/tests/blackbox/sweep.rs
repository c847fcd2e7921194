//! Sweeps: what abandoned uploads leave, who may ask for a sweep, and what is swept without a scheduler.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use moc_tests::content::pdf;
use moc_tests::{Client, Stack, components_apart, own_database, path, unique_title, wait_for, work_after_responses};
use reqwest::Method;
use serde_json::{Value, json};

const PUBLIC: &str = "/api/mocs/uploads/sweep";
/// The sweeper's private route, which only other components of the application reach, and its public one.
const ROUTES: [(&str, &str); 2] = [("/sweep", "sweeper"), (PUBLIC, "sweeper")];
const SECRET: &str = "a random text for sweeps of more than 32 bytes";
const UPLOADS: u64 = 200;
/// Uploads that go on at once.
const CONCURRENCY: usize = 8;
const PDF_BYTES: usize = 1_000;

/// What an abandoned upload has left.
#[derive(Debug)]
struct Abandoned {
    session: String,
    /// A file that is not complete and has a part.
    pending: Option<String>,
    /// The keys of its MOC's objects.
    keys: Vec<String>,
}

/// A number that follows from another one (SplitMix64).
fn mixed(seed: u64) -> u64 {
    let state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// Uploads until a point that follows from the number.
async fn abandon(client: &Client, number: u64) -> Abandoned {
    let session = client.create_session().await;
    let mut left = Abandoned { session: session.clone(), pending: None, keys: Vec::new() };
    let point = mixed(number) % 7;
    if point == 0 {
        return left;
    }
    let file = client.register_pdf(&session, PDF_BYTES).await;
    if point > 1 {
        client.put_parts(&session, &file, &pdf(PDF_BYTES)).await;
        left.pending = Some(file.clone());
    }
    if point > 2 {
        let _ = client.complete(&session, &file).await.success(200);
        left.pending = None;
    }
    match point {
        // A second file that is only begun.
        4 => {
            let other = client.register(&session, "tower.pdf", "instruction", "application/pdf", PDF_BYTES).await;
            client.put_parts(&session, &other, &pdf(PDF_BYTES)).await;
            left.pending = Some(other);
        }
        5 => assert_eq!(client.delete(&path::session(&session)).await.status, 204),
        6 => {
            let moc = client.finalize(&session, &unique_title()).await.success(201);
            let files = moc["files"].as_array().expect("files");
            left.keys = files.iter().map(|file| file["key"].as_str().expect("a key").to_owned()).collect();
        }
        _ => {}
    }
    left
}

/// Ends every session, two hours ago.
fn end_sessions(stack: &Stack) {
    let _ = stack.database().execute("UPDATE sessions SET expires_at = created_at - 7200000");
}

fn count(stack: &Stack, table: &str) -> u64 {
    let count = stack.database().value(&format!("SELECT count(*) FROM {table}")).expect("a count");
    count.parse().expect("a number")
}

async fn sweep(client: &Client, body: &Value) -> Value {
    client.post("/sweep", body).await.success(200)
}

/// Sweeps, four at once, until nothing is left.
async fn sweep_to_the_end(client: &Client) {
    for _ in 0..20 {
        let body = json!({ "sessions": 40 });
        let sweeps = futures::future::join_all((0..4).map(|_| sweep(client, &body))).await;
        let postponed: u64 =
            sweeps.iter().map(|swept| swept["sessions"]["postponed"].as_u64().expect("a number")).sum();
        assert_eq!(postponed, 0, "{sweeps:?}");
        if sweeps.last().is_some_and(|swept| swept["left"]["sessions"] == 0) {
            return;
        }
    }
    panic!("twenty times four sweeps leave sessions");
}

#[tokio::test]
async fn two_hundred_abandoned_uploads_leave_the_mocs_and_nothing_else() {
    own_database!();
    components_apart!();
    let stack = Stack::start_with_routes(&ROUTES, &[("session_retention_days", "1")]);
    let (client, bucket) = (stack.client(), stack.bucket());
    let abandoning = stream::iter(0..UPLOADS).map(|number| abandon(&client, number)).buffer_unordered(CONCURRENCY);
    let abandoned: Vec<Abandoned> = abandoning.collect().await;
    let mocs = abandoned.iter().filter(|left| !left.keys.is_empty()).count() as u64;
    let mut uploads = Vec::new();
    for file in abandoned.iter().filter_map(|left| left.pending.as_ref()) {
        let query = format!("SELECT object_key, upload_id FROM files WHERE id = '{file}'");
        let [key, upload] =
            <[String; 2]>::try_from(stack.database().row(&query).expect("a file")).expect("two columns");
        assert_eq!(bucket.parts(&key, &upload).await, [1]);
        uploads.push((key, upload));
    }
    assert!(mocs > 10 && uploads.len() > 20, "{mocs} MOCs, {} uploads", uploads.len());

    end_sessions(&stack);
    sweep_to_the_end(&client).await;
    for (key, upload) in &uploads {
        assert_eq!(bucket.parts(key, upload).await, [0_u16; 0], "{key}");
    }
    for left in &abandoned {
        let found = bucket.list(&format!("uploads/dev-user/{}/", left.session)).await;
        assert_eq!(found, left.keys, "{}", left.session);
    }
    assert_eq!((count(&stack, "mocs"), count(&stack, "sessions"), count(&stack, "files")), (mocs, mocs, mocs));

    // After their retention the rows of finalized sessions are removed, and their MOCs stay.
    let _ = stack.database().execute("UPDATE sessions SET expires_at = expires_at - 86400000");
    sweep_to_the_end(&client).await;
    assert_eq!(["sessions", "files", "parts"].map(|table| count(&stack, table)), [0, 0, 0]);
    assert_eq!((count(&stack, "mocs"), count(&stack, "moc_files")), (mocs, mocs));
    let published = abandoned.iter().find(|left| !left.keys.is_empty()).expect("a MOC");
    let _ = client.finalize(&published.session, &unique_title()).await.problem(404, "NOT_FOUND");
    assert!(bucket.get(&published.keys[0]).await.is_some());
}

#[tokio::test]
async fn routes_have_two_sessions_swept_after_their_responses() {
    own_database!();
    components_apart!();
    work_after_responses!();
    let stack = Stack::start_with_routes(&ROUTES, &[]);
    let client = stack.client();
    for _ in 0..3 {
        let _ = client.create_session().await;
    }
    end_sessions(&stack);
    let old = "sessions WHERE expires_at < created_at";
    let swept_to = async |most: u64| {
        let is_swept = async || (count(&stack, old) <= most).then_some(());
        wait_for(&format!("{most} ended sessions"), Duration::from_secs(20), is_swept).await;
    };
    let (session, _) = client.upload_pdf(PDF_BYTES).await;
    swept_to(1).await;
    let _ = client.finalize(&session, &unique_title()).await.success(201);
    swept_to(0).await;
    assert_eq!(count(&stack, "sessions"), 1);
}

#[tokio::test]
async fn the_public_route_needs_its_secret() {
    own_database!();
    components_apart!();
    let closed = Stack::start_with_routes(&ROUTES, &[]);
    let ask = async |stack: &Stack, secret: Option<&str>| {
        let client = stack.client();
        let request = client.request(Method::POST, PUBLIC);
        let request = match secret {
            Some(secret) => request.header("authorization", format!("Bearer {secret}")),
            None => request,
        };
        client.send(request).await
    };
    for secret in [None, Some(""), Some(SECRET)] {
        let _ = ask(&closed, secret).await.problem(404, "NOT_FOUND");
    }
    let stack = Stack::start_with_routes(&ROUTES, &[("sweep_secret", SECRET)]);
    for wrong in [None, Some(""), Some("another text of more than thirty-two bytes"), Some(&SECRET[1..])] {
        let _ = ask(&stack, wrong).await.problem(401, "UNAUTHORIZED");
    }
    let swept = ask(&stack, Some(SECRET)).await.success(200);
    assert_eq!((&swept["sessions"]["removed"], &swept["webhooks"]), (&json!(0), &Value::Null));
    assert!(!stack.log().contains(SECRET));
}

#[tokio::test]
async fn a_request_for_a_sweep_is_checked() {
    own_database!();
    components_apart!();
    let stack = Stack::start_with_routes(&ROUTES, &[]);
    let client = stack.client();
    for body in [json!({ "sessions": 1001 }), json!({ "resend": ["x"] }), json!({ "everything": true })] {
        let _ = client.post("/sweep", &body).await.problem(422, "VALIDATION_ERROR");
    }
    let _ = client.get("/sweep").await.problem(405, "METHOD_NOT_ALLOWED");
    let swept = sweep(&client, &json!({ "sessions": 0, "webhooks": false })).await;
    assert_eq!(swept["left"], json!({ "sessions": 0, "counts": 0, "deliveries": 0, "failedWebhooks": 0 }));
}
