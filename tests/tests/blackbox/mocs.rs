//! `GET /api/mocs/:mocId`.

use moc_tests::content::pdf;
use moc_tests::{Stack, assert_response, own_stack, path, unique_title};
use reqwest::Method;

#[tokio::test]
async fn a_moc_is_shown_as_finalize_made_it() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(100).await;
    let made = client.finalize(&session, &unique_title()).await;
    let reply = client.get(made.header("location").expect("a Location")).await;
    assert_eq!(reply.success(200), made.success(201));
    assert_response!("moc", reply);
}

#[tokio::test]
async fn responds_404_for_a_missing_moc() {
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(10).await;
    let nobodys = "01890a5d-ac96-774b-bcce-b302099a8057";
    for id in [nobodys, &session, "malformed", "1", "%00", "..%2f..%2fetc", "01890a5dac96774bbcceb302099a8057"] {
        let _ = client.get(&path::moc(id)).await.problem(404, "NOT_FOUND");
    }
    assert_response!("moc_not_found", client.get(&path::moc(nobodys)).await);
}

#[tokio::test]
async fn anybody_may_read_an_object_at_its_url_and_do_nothing_else() {
    // In a bucket of another stack it is for its policy to say.
    own_stack!();
    let client = Stack::shared().client();
    let (session, _) = client.upload_pdf(100).await;
    let moc = client.finalize(&session, &unique_title()).await.success(201);
    let url = moc["files"][0]["url"].as_str().expect("a URL");
    let anonymous = reqwest::Client::new();
    let ask = |method: Method, url: &str| anonymous.request(method, url).send();
    let read = ask(Method::GET, url).await.expect("a response");
    assert_eq!(read.bytes().await.expect("a body"), pdf(100));
    let bucket = url.split("/uploads/").next().expect("the bucket's address");
    for (method, url) in [(Method::PUT, url), (Method::DELETE, url), (Method::GET, bucket)] {
        assert_eq!(ask(method.clone(), url).await.expect("a response").status(), 403, "{method} {url}");
    }
    assert!(ask(Method::HEAD, url).await.expect("a response").status().is_success(), "it is still there");
}
