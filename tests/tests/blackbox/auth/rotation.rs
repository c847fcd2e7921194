//! Secrets are rotated without downtime: each step is another host over the same state.

use moc_tests::token::{claims, hs256};
use moc_tests::{Stack, own_stack, path, unique_title};

use super::{SECRET, rejected, taken};

const NEW: &str = "another-secret-of-at-least-thirty-two-bytes";

#[tokio::test]
async fn a_secret_of_users_tokens_is_rotated_step_by_step() {
    own_stack!();
    let (old_token, new_token) = (hs256(SECRET, &claims("alice")), hs256(NEW, &claims("alice")));
    let before = Stack::start(&[("jwt_secret", SECRET)]);
    taken(&before, &old_token, "the old secret").await;
    rejected(&before, &new_token, "not yet").await;
    let (session, _) = before.client_as(&old_token).upload_pdf(100).await;

    let during = Stack::start_next_to_with(&before, &[("jwt_secret", NEW), ("jwt_secret_previous", SECRET)]);
    for token in [&old_token, &new_token] {
        let _ = during.client_as(token).get(&path::session(&session)).await.success(200);
    }
    rejected(&during, &hs256("yet-another-secret-of-thirty-two-bytes", &claims("alice")), "a third secret").await;

    let after = Stack::start_next_to_with(&before, &[("jwt_secret", NEW)]);
    rejected(&after, &old_token, "no longer").await;
    let moc = after.client_as(&new_token).finalize(&session, &unique_title()).await.success(201);
    assert_eq!(moc["userId"], "alice");
}

#[tokio::test]
async fn a_previous_secret_alone_lets_nobody_in() {
    own_stack!();
    let stack = Stack::start(&[("jwt_secret_previous", SECRET)]);
    rejected(&stack, &hs256(SECRET, &claims("alice")), "no current secret").await;
    let _ = stack.logged("jwt_secret_previous is set without jwt_secret").await;
    assert!(!stack.log().contains(SECRET));
}
