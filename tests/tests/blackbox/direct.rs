//! Direct uploads: URLs are asked for, parts are put into the bucket and recorded.

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, content_md5, multipart_etag, noise, pdf};
use moc_tests::{Client, Response, Stack, assert_response, own_database, own_stack, path};
use serde_json::{Value, json};

const MADE_UP: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// The file of a test, with the client and the stack that it is in.
struct Direct<'a> {
    stack: &'a Stack,
    client: Client,
    session: String,
    file: String,
    bytes: Vec<u8>,
}

impl<'a> Direct<'a> {
    async fn new(stack: &'a Stack, size: usize) -> Self {
        let client = stack.client();
        let session = client.create_session().await;
        let file = client.register_pdf(&session, size).await;
        Self { stack, client, session, file, bytes: pdf(size) }
    }

    fn part(&self, number: u64) -> &[u8] {
        self.bytes.chunks(PART_BYTES).nth(number as usize - 1).expect("a part of the file")
    }

    async fn ask(&self, body: Value) -> Response {
        self.client.post(&path::part_urls(&self.session, &self.file), &body).await
    }

    async fn url(&self, number: u64) -> String {
        let urls = self.ask(json!({ "partNumbers": [number] })).await.success(200);
        urls["urls"][0]["url"].as_str().expect("a URL").to_owned()
    }

    /// Puts a part into the bucket, and gives what there is to say of it.
    async fn put(&self, number: u64) -> Value {
        let bytes = self.part(number);
        let etag = self.stack.bucket().put_presigned(&self.url(number).await, bytes.to_vec()).await;
        json!({ "partNumber": number, "etag": etag, "sizeBytes": bytes.len() })
    }

    /// What a client may say of a part that the bucket does not have.
    fn made_up(&self, number: u64) -> Value {
        json!({ "partNumber": number, "etag": MADE_UP, "sizeBytes": self.part(number).len() })
    }

    async fn record(&self, parts: &[Value]) -> Response {
        self.client.post(&path::stored_parts(&self.session, &self.file), &json!({ "parts": parts })).await
    }

    async fn complete(&self) -> Response {
        self.client.complete(&self.session, &self.file).await
    }

    async fn progress(&self) -> (Value, Value) {
        let state = self.client.get(&path::session(&self.session)).await.success(200);
        (state["files"][0]["partsCompleted"].clone(), state["files"][0]["bytesCompleted"].clone())
    }

    async fn is_whole(&self) {
        let completed = self.complete().await.success(200);
        assert_eq!(completed["etag"], multipart_etag(self.bytes.chunks(PART_BYTES)));
        let bucket = self.stack.bucket();
        let key = bucket.key_of(&self.session, &self.file).await;
        assert!(bucket.get(&key).await.as_ref() == Some(&self.bytes), "byte for byte");
    }
}

#[tokio::test]
async fn parts_go_straight_to_the_bucket_and_count() {
    let direct = Direct::new(Stack::shared(), 2 * PART_BYTES + 3).await;
    let asked = direct.ask(json!({ "partNumbers": [3, 1, 2] })).await;
    assert_response!("direct_urls", asked);
    let urls = asked.success(200)["urls"].as_array().expect("URLs").clone();
    let numbers: Vec<&Value> = urls.iter().map(|url| &url["partNumber"]).collect();
    assert_eq!(numbers, [3, 1, 2]);
    let bucket = direct.stack.bucket();
    let parts = join_all(urls.iter().map(async |url| {
        let number = url["partNumber"].as_u64().expect("a number");
        let bytes = direct.part(number);
        let etag = bucket.put_presigned(url["url"].as_str().expect("a URL"), bytes.to_vec()).await;
        json!({ "partNumber": number, "etag": etag, "sizeBytes": bytes.len() })
    }))
    .await;
    let recorded = direct.record(&parts).await;
    assert_response!("direct_recorded", recorded);
    let all = json!({
        "partsCompleted": 3, "partsTotal": 3, "bytesCompleted": direct.bytes.len(), "bytesTotal": direct.bytes.len(),
    });
    assert_eq!(recorded.success(200)["progress"], all);
    // A response that was lost can be asked for again.
    assert_eq!(direct.record(&parts).await.success(200)["progress"], all);
    assert_eq!(direct.client.stored_parts(&direct.session, &direct.file).await, [1, 2, 3]);
    direct.is_whole().await;
    let _ = direct.client.finalize(&direct.session, &moc_tests::unique_title()).await.success(201);
}

#[tokio::test]
async fn some_parts_come_through_the_service() {
    let direct = Direct::new(Stack::shared(), 2 * PART_BYTES + 3).await;
    let (first, last) = (direct.put(1).await, direct.put(3).await);
    let _ = direct.record(&[first]).await.success(200);
    let second = direct.part(2).to_vec();
    let _ = direct.client.put_part(&direct.session, &direct.file, 2, second).await.success(200);
    assert_eq!(direct.progress().await, (json!(2), json!(2 * PART_BYTES)));
    let _ = direct.record(&[last]).await.success(200);
    direct.is_whole().await;
}

#[tokio::test]
async fn the_bucket_verifies_a_signed_md5() {
    let direct = Direct::new(Stack::shared(), 9).await;
    let bytes = direct.bytes.clone();
    let asked = direct.ask(json!({ "partNumbers": [1], "contentMd5": { "1": content_md5(&bytes) } })).await;
    let url = asked.success(200)["urls"][0].clone();
    assert_eq!(url["headers"], json!({ "Content-MD5": content_md5(&bytes) }));
    let put = async |bytes: &[u8], md5: Option<String>| {
        let request = reqwest::Client::new().put(url["url"].as_str().expect("a URL")).body(bytes.to_vec());
        let request = md5.into_iter().fold(request, |request, md5| request.header("Content-MD5", md5));
        request.send().await.expect("S3 responds").status().as_u16()
    };
    let other = noise(9, 1);
    assert_eq!(put(&bytes, None).await, 403, "the header is missing");
    assert_eq!(put(&other, Some(content_md5(&other))).await, 403, "it is not the one that was signed");
    assert_eq!(put(&other, Some(content_md5(&bytes))).await, 400, "the bytes are others");
    assert_eq!(put(&bytes, Some(content_md5(&bytes))).await, 200);
}

#[tokio::test]
async fn parts_that_the_bucket_lacks_are_named_and_can_be_sent_again() {
    let direct = Direct::new(Stack::shared(), 3 * PART_BYTES + 3).await;
    let third = direct.put(3).await;
    let claims = [direct.made_up(1), direct.made_up(2), third, direct.made_up(4)];
    let _ = direct.record(&claims).await.success(200);
    let rejected = direct.complete().await;
    assert_eq!(rejected.problem(400, "PART_COUNT_MISMATCH")["missing"], json!([1, 2, 4]));
    assert_eq!(direct.client.stored_parts(&direct.session, &direct.file).await, [3]);
    assert_eq!(direct.progress().await, (json!(1), json!(PART_BYTES)));
    // Either way.
    let parts = [direct.put(1).await, direct.put(4).await];
    let _ = direct.record(&parts).await.success(200);
    let second = direct.part(2).to_vec();
    let _ = direct.client.put_part(&direct.session, &direct.file, 2, second).await.success(200);
    direct.is_whole().await;
}

#[tokio::test]
async fn a_wrong_etag_is_corrected_by_the_bucket() {
    let direct = Direct::new(Stack::shared(), PART_BYTES + 3).await;
    let (_, second) = (direct.put(1).await, direct.put(2).await);
    let _ = direct.record(&[direct.made_up(1), second]).await.success(200);
    direct.is_whole().await;
}

#[tokio::test]
async fn parts_that_do_not_fit_are_rejected_together() {
    let direct = Direct::new(Stack::shared(), PART_BYTES + 3).await;
    let first = direct.made_up(1);
    let part = |number: u64, etag: &str, size: usize| json!({ "partNumber": number, "etag": etag, "sizeBytes": size });
    let wrong = direct.record(&[first.clone(), part(2, MADE_UP, 4)]).await;
    assert_response!("direct_part_size_mismatch", wrong);
    let problem = wrong.problem(400, "PART_SIZE_MISMATCH");
    assert_eq!((&problem["partNumber"], &problem["expectedBytes"]), (&json!(2), &json!(3)));
    let beyond = direct.record(&[first.clone(), part(3, MADE_UP, 3)]).await;
    assert_eq!(beyond.problem(400, "INVALID_PART_NUMBER")["validRange"], json!([1, 2]));
    let malformed = direct.record(&[first.clone(), part(2, "", 3)]).await.problem(422, "VALIDATION_ERROR");
    assert_eq!(malformed["errors"][0]["pointer"], "/parts/1/etag");
    for parts in [vec![], vec![first.clone(), first.clone()], vec![first; 101]] {
        let problem = direct.record(&parts).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], "/parts");
    }
    assert_eq!(direct.progress().await, (json!(0), json!(0)));
}

#[tokio::test]
async fn urls_are_given_for_parts_of_the_file_alone() {
    let direct = Direct::new(Stack::shared(), PART_BYTES + 3).await;
    let beyond = direct.ask(json!({ "partNumbers": [1, 3] })).await;
    assert_eq!(beyond.problem(400, "INVALID_PART_NUMBER")["validRange"], json!([1, 2]));
    for (body, pointer) in [
        (json!({}), "/partNumbers"),
        (json!({ "partNumbers": [] }), "/partNumbers"),
        (json!({ "partNumbers": [1, 1] }), "/partNumbers"),
        (json!({ "partNumbers": (1..=101).collect::<Vec<_>>() }), "/partNumbers"),
        (json!({ "partNumbers": [1], "contentMd5": { "1": "x" } }), "/contentMd5/1"),
        (json!({ "partNumbers": [1], "contentMd5": { "2": content_md5(b"") } }), "/contentMd5/2"),
    ] {
        let problem = direct.ask(body).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(problem["errors"][0]["pointer"], pointer);
    }
    // The size of each is signed.
    let put = reqwest::Client::new().put(direct.url(2).await).body("%PDF");
    assert_eq!(put.send().await.expect("S3 responds").status(), 403);
}

#[tokio::test]
async fn files_and_sessions_that_take_no_parts_take_none_this_way() {
    let stack = Stack::shared();
    let direct = Direct::new(stack, 9).await;
    let elsewhere = Direct { file: direct.file.clone(), ..Direct::new(stack, 9).await };
    let both = async |direct: &Direct<'_>| {
        [direct.ask(json!({ "partNumbers": [1] })).await, direct.record(&[direct.made_up(1)]).await]
    };
    for reply in both(&elsewhere).await {
        let _ = reply.problem(404, "NOT_FOUND");
    }
    let part = direct.put(1).await;
    let _ = direct.record(&[part]).await.success(200);
    direct.is_whole().await;
    for reply in both(&direct).await {
        let _ = reply.problem(409, "FILE_ALREADY_COMPLETED");
    }
    let cancelled = Direct::new(stack, 9).await;
    assert_eq!(cancelled.client.delete(&path::session(&cancelled.session)).await.status, 204);
    for reply in both(&cancelled).await {
        let _ = reply.problem(409, "SESSION_NOT_ACTIVE");
    }
}

#[tokio::test]
async fn an_expired_session_takes_no_direct_part() {
    own_database!();
    let direct = Direct::new(Stack::shared(), 9).await;
    direct.stack.set_session(&direct.session, "expires_at = created_at - 1");
    let _ = direct.ask(json!({ "partNumbers": [1] })).await.problem(410, "SESSION_EXPIRED");
    let _ = direct.record(&[direct.made_up(1)]).await.problem(410, "SESSION_EXPIRED");
}

#[tokio::test]
async fn responses_name_the_upload_mode() {
    let created = |client: Client| async move {
        let created = client.post(path::SESSIONS, &json!({ "files": [moc_tests::declared_pdf(1)] })).await.success(201);
        let session = created["sessionId"].as_str().expect("an id");
        let state = client.get(&path::session(session)).await.success(200);
        assert_eq!(state["uploadMode"], created["uploadMode"]);
        created["uploadMode"].clone()
    };
    own_stack!();
    assert_eq!(created(Stack::shared().client()).await, "through");
    let stack = Stack::shared_with(&[("upload_mode", "both")]);
    assert_eq!(created(stack.client()).await, "both");
    let page = stack.client().get("/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    let calls = policy.split("; ").find(|directive| directive.starts_with("connect-src ")).expect("connect-src");
    assert!(calls.ends_with(stack.s3_url()), "{calls}");
}
