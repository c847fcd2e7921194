//! The page, the OpenAPI document and the page that shows it: what is served, how it is kept, and what it may load.

use std::collections::BTreeSet;

use moc_tests::{Response, Stack, own_stack};
use reqwest::Method;

const DOCUMENT: &str = "/api/mocs/uploads/openapi.json";
const REFERENCE: &str = "/api/mocs/uploads/docs/";

async fn ask(method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let client = Stack::shared().client();
    let request =
        headers.iter().fold(client.request(method, path), |request, (name, value)| request.header(*name, *value));
    client.send(request).await
}

async fn get(path: &str) -> Response {
    let reply = ask(Method::GET, path, &[]).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply
}

/// The paths of the files that a page names.
fn named(page: &str) -> BTreeSet<String> {
    let attributes = page.split(['"', '\'']).filter(|text| text.starts_with('/') && text.contains("/assets/"));
    attributes.map(str::to_owned).collect()
}

#[tokio::test]
async fn pages_and_the_files_that_they_name_are_there() {
    for (path, word) in [("/", "MOC"), (REFERENCE, "API")] {
        let page = get(path).await;
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains(word), "{path}");
        let files = named(&page.text());
        assert!(files.iter().any(|file| file.ends_with(".js")) && files.iter().any(|file| file.ends_with(".css")));
        for file in files {
            let reply = get(&file).await;
            let media_type = if file.ends_with(".js") {
                "text/javascript; charset=utf-8"
            } else if file.ends_with(".css") {
                "text/css; charset=utf-8"
            } else {
                "image/svg+xml"
            };
            assert_eq!(reply.header("content-type"), Some(media_type), "{file}");
            assert_eq!(reply.header("cache-control"), Some("public, max-age=31536000, immutable"), "{file}");
            assert!(!reply.bytes.is_empty() && reply.header("x-request-id").is_some(), "{file}");
        }
    }
    // With and without a slash.
    assert_eq!(get(REFERENCE).await.bytes, get(REFERENCE.trim_end_matches('/')).await.bytes);
}

#[tokio::test]
async fn the_document_is_the_one_in_the_repository() {
    let reply = get(DOCUMENT).await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let committed = include_str!("../../../shared/contract/openapi.json");
    assert!(reply.text() == committed, "the component was not built since: cargo xtask build");
}

#[tokio::test]
async fn a_page_may_load_its_own_files_and_call_its_own_origin() {
    for path in ["/", REFERENCE] {
        let page = get(path).await;
        let policy = page.header("content-security-policy").expect("a policy");
        for directive in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(directive), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe-eval") && !policy.contains('*'), "{path}: {policy}");
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        for element in ["<style", "style=", "onload=", "<script>"] {
            assert!(!page.text().contains(element), "{path} has {element}, which the policy forbids");
        }
    }
}

#[tokio::test]
async fn a_page_reads_objects_and_watches_sessions_where_the_variables_say() {
    own_stack!();
    let variables =
        [("public_base_url", "https://cdn.example/mocs"), ("websocket_server_url", "wss://live.example/ws")];
    let stack = Stack::start(&variables);
    let page = stack.client().get("/").await;
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.contains("img-src 'self' blob: https://cdn.example;"), "{policy}");
    assert!(policy.contains("connect-src 'self' wss://live.example;"), "{policy}");
}

#[tokio::test]
async fn files_come_in_the_smallest_encoding_that_the_client_takes() {
    for path in ["/", DOCUMENT, REFERENCE] {
        let plain = get(path).await;
        assert_eq!(plain.header("content-encoding"), None);
        for (accepted, encoding, magic) in
            [("gzip, deflate, br", "br", None), ("gzip, br;q=0", "gzip", Some([0x1f, 0x8b]))]
        {
            let reply = ask(Method::GET, path, &[("accept-encoding", accepted)]).await;
            assert_eq!(reply.header("content-encoding"), Some(encoding), "{path}");
            assert!(reply.bytes.len() < plain.bytes.len(), "{path}: {encoding}");
            assert!(magic.is_none_or(|magic| reply.bytes.starts_with(&magic)), "{path}: {encoding}");
            assert_eq!(reply.header("vary"), Some("accept-encoding"), "{path}");
            assert_eq!(reply.header("etag"), plain.header("etag"), "{path}: one weak tag for all encodings");
        }
    }
}

#[tokio::test]
async fn what_the_browser_has_already_is_not_sent_again() {
    for path in ["/", DOCUMENT, REFERENCE] {
        let first = get(path).await;
        assert_eq!(first.header("cache-control"), Some("no-cache"), "{path} is asked for again each time");
        let tag = first.header("etag").expect("a tag");
        for known in [tag, &format!("\"other\", {tag}"), "*"] {
            let again = ask(Method::GET, path, &[("if-none-match", known)]).await;
            assert_eq!((again.status, again.bytes.len()), (304, 0), "{path} {known}");
            assert_eq!(again.header("etag"), Some(tag));
        }
        assert_eq!(ask(Method::GET, path, &[("if-none-match", "\"other\"")]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_head_has_the_headers_alone() {
    for path in ["/", DOCUMENT, REFERENCE] {
        let (get, head) = (get(path).await, ask(Method::HEAD, path, &[]).await);
        assert_eq!((head.status, head.bytes.len()), (200, 0), "{path}");
        for name in ["content-type", "content-length", "cache-control", "etag"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
    }
}

#[tokio::test]
async fn responds_404_with_a_problem_for_missing_pages() {
    for path in ["/assets/nothing.js", "/assets/", "/api/mocs/uploads/docs/nothing", "/assets/..%2findex.html"] {
        let _ = ask(Method::GET, path, &[]).await.problem(404, "NOT_FOUND");
    }
    for path in ["/", "/assets/nothing.js", DOCUMENT, REFERENCE] {
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            let reply = ask(method, path, &[]).await;
            let _ = reply.problem(405, "METHOD_NOT_ALLOWED");
            assert_eq!(reply.header("allow"), Some("GET, HEAD"), "{path}");
        }
    }
}
