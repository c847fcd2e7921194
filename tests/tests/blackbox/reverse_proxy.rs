//! The application behind nginx with `deploy/nginx.conf`.

use std::time::Duration;

use futures::future::join_all;
use moc_tests::content::{PART_BYTES, pdf};
use moc_tests::nginx::Nginx;
use moc_tests::raw::Connection;
use moc_tests::{Client, Stack, own_stack, path, wait_for};
use reqwest::Method;

/// `limit_conn` in `deploy/nginx.conf`.
const REQUESTS_AT_ONCE: usize = 64;

/// nginx before the shared stack; `None`, with a word of it, if there is no nginx.
fn start() -> Option<Nginx> {
    if Nginx::is_installed() {
        return Some(Nginx::proxy(Stack::shared().base_url()));
    }
    moc_tests::skipped("nginx", file!(), line!());
    None
}

#[tokio::test]
async fn a_file_is_uploaded_through_the_proxy_and_no_token_is_logged() {
    own_stack!();
    let Some(nginx) = start() else { return };
    // As long as the application accepts it.
    let client = Client::new(&nginx.origin(), Some(&"SECRET".repeat(1365)));
    let session = client.create_session().await;
    let bytes = pdf(3 * PART_BYTES - 1);
    let file = client.register_pdf(&session, bytes.len()).await;
    client.put_parts(&session, &file, &bytes).await;
    let _ = client.complete(&session, &file).await.success(200);

    let watched = format!("{}?token=SECRET", path::session(&session));
    let reply = client.send(client.request(Method::GET, &watched).header("referer", "http://a/?token=SECRET")).await;
    let _ = reply.success(200);
    let alone = Nginx::proxy("http://127.0.0.1:9");
    // The response is nginx's own, which no document of the application has.
    let failed = Client::new(&alone.origin(), None).request(Method::GET, &watched).send().await.expect("a response");
    assert_eq!(failed.status(), 502);
    for (nginx, status) in [(&nginx, " 200 "), (&alone, " 502 ")] {
        // nginx writes the line after the response.
        let is_written = |logs: &String| logs.contains(&path::session(&session)) && logs.contains(status);
        let logs = async || Some(nginx.logs()).filter(is_written);
        let logs = wait_for(status, Duration::from_secs(10), logs).await;
        assert!(!logs.contains("SECRET"), "{logs}");
    }
}

#[tokio::test]
async fn what_spin_says_of_itself_stays_inside() {
    own_stack!();
    let Some(nginx) = start() else { return };
    for path in
        ["/.well-known/spin/info", "/.well-known/spin/%69nfo", "//.well-known/spin/info", "/.well-known/spin/health"]
    {
        let reply = Connection::start(&nginx.origin(), "GET", path, &[]).await.reply().await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(!reply.text().contains("moc-uploads"), "{}", reply.text());
    }
    assert_eq!(Client::new(&nginx.origin(), None).get("/").await.status, 200);
}

#[tokio::test]
async fn one_address_has_a_bounded_number_of_requests_at_once() {
    own_stack!();
    let Some(nginx) = start() else { return };
    let half = [("content-type", "application/json"), ("content-length", "100")];
    let hold = async || {
        let mut connection = Connection::start(&nginx.origin(), "POST", path::SESSIONS, &half).await;
        connection.send(b"{").await;
        connection
    };
    let held = join_all((0..REQUESTS_AT_ONCE).map(|_| hold())).await;
    let client = Client::new(&nginx.origin(), None);
    let rejected = async || (client.get("/").await.status == 429).then_some(());
    moc_tests::wait_for("a rejection", std::time::Duration::from_secs(5), rejected).await;
    drop(held);
    let accepted = async || (client.get("/").await.status == 200).then_some(());
    moc_tests::wait_for("the end of it", std::time::Duration::from_secs(5), accepted).await;
}

#[tokio::test]
async fn one_address_has_a_bounded_rate_of_requests() {
    own_stack!();
    let Some(nginx) = start() else { return };
    let client = Client::new(&nginx.origin(), None);
    let (mut accepted, mut rejected) = (0, 0);
    while rejected == 0 && accepted < 2_000 {
        let replies = join_all((0..20).map(|_| client.get("/"))).await;
        rejected += replies.iter().filter(|reply| reply.status == 429).count();
        accepted += replies.iter().filter(|reply| reply.status == 200).count();
    }
    assert!(rejected > 0 && accepted >= 200, "{rejected} after {accepted}");
}
