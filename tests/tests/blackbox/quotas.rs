//! What one user may have open and register.

use futures::future::join_all;
use moc_tests::content::{MIB, pdf};
use moc_tests::token::{claims, hs256};
use moc_tests::{Client, Stack, declared, own_stack, path, unique_title};
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};

const SECRET: &str = "a secret that is long enough to be one";

fn client(stack: &Stack, user: &str) -> Client {
    stack.client_as(&hs256(SECRET, &claims(user)))
}

/// The fields that a used-up quota comes with.
fn used_up(reply: &moc_tests::Response, quota: &str, limit: usize) -> Value {
    let problem = reply.problem(429, "RATE_LIMIT_EXCEEDED");
    assert_eq!((&problem["quota"], &problem["limit"]), (&json!(quota), &json!(limit)));
    let wait = problem["retryAfter"].as_u64().expect("seconds");
    assert_eq!(reply.header(RETRY_AFTER.as_str()), Some(wait.to_string().as_str()));
    assert!(problem["nextAllowedAt"].is_string());
    problem
}

/// However many are created at once, over any number of instances.
#[tokio::test]
async fn a_user_has_only_so_many_open_sessions() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret", SECRET), ("max_open_sessions", "3")]);
    let alice = client(&stack, "alice");
    let body = json!({ "files": [declared("castle.pdf", "instruction", "application/pdf", 10)] });
    let create = || alice.post(path::SESSIONS, &body);
    let replies = join_all((0..10).map(|_| create())).await;
    let (created, rejected): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 201);
    assert_eq!(created.len(), 3);
    for reply in rejected {
        let problem = used_up(reply, "open-sessions", 3);
        assert_eq!(problem.get("window"), None);
    }
    // The next is allowed when the first one expires, or one of them ends.
    let sessions: Vec<Value> = created.iter().map(|reply| reply.json()).collect();
    let first_ends = sessions.iter().filter_map(|session| session["expiresAt"].as_str()).min();
    assert_eq!(used_up(&create().await, "open-sessions", 3)["nextAllowedAt"].as_str(), first_ends);
    let ids: Vec<&str> = sessions.iter().filter_map(|session| session["sessionId"].as_str()).collect();
    assert_eq!(alice.delete(&path::session(ids[0])).await.status, 204);
    let _ = create().await.success(201);
    let file = alice.register_pdf(ids[1], 10).await;
    alice.put_parts(ids[1], &file, &pdf(10)).await;
    let _ = alice.complete(ids[1], &file).await.success(200);
    let _ = alice.finalize(ids[1], &unique_title()).await.success(201);
    let _ = create().await.success(201);
    used_up(&create().await, "open-sessions", 3);
    let _ = client(&stack, "bob").post(path::SESSIONS, &body).await.success(201);
}

#[tokio::test]
async fn a_user_registers_only_so_much() {
    own_stack!();
    let quotas = [("max_open_uploads", "3"), ("max_session_mb", "2"), ("max_registered_mb_per_day", "3")];
    let stack = Stack::start(&[&[("jwt_secret", SECRET)], quotas.as_slice()].concat());
    let alice = client(&stack, "alice");
    let register = async |session: &str, name: &str, size: usize| {
        alice.try_register(session, name, "instruction", "application/pdf", size).await
    };
    // What is declared together is too large for any session.
    let part = |name| declared(name, "instruction", "application/pdf", MIB + 1);
    let reply = alice.post(path::SESSIONS, &json!({ "files": [part("a.pdf"), part("b.pdf")] })).await;
    assert_eq!(reply.problem(413, "QUOTA_EXCEEDED")["limitBytes"], json!(2 * MIB));

    let session = alice.create_session().await;
    let replies = join_all(["a.pdf", "b.pdf", "c.pdf"].map(|name| register(&session, name, MIB))).await;
    let created = replies.iter().filter(|reply| reply.status == 201).count();
    assert_eq!(created, 2, "of three files of 1 MiB two fit into a session of 2 MiB");
    for reply in replies.iter().filter(|reply| reply.status != 201) {
        assert_eq!(reply.problem(413, "QUOTA_EXCEEDED")["limitBytes"], json!(2 * MIB));
    }
    let other = alice.create_session().await;
    let _ = register(&other, "a.pdf", 10).await.success(201);
    used_up(&register(&other, "b.pdf", 10).await, "open-uploads", 3);
    assert_eq!(alice.delete(&path::session(&session)).await.status, 204);
    // Two of three MiB are used up, and what is cancelled was registered. At midnight another day begins.
    let reply = register(&other, "b.pdf", MIB).await;
    if reply.status != 201 {
        let problem = used_up(&reply, "bytes-per-day", 3 * MIB);
        let next = problem["nextAllowedAt"].as_str().expect("a time");
        assert!(problem["window"] == json!(86_400) && next.ends_with("T00:00:00.000Z"), "{problem}");
    }
    let _ = register(&other, "c.pdf", 10).await.success(201);
}
