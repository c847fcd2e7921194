//! Events of a finalize that was interrupted.

use moc_tests::{Stack, own_sqlite, unique_title};

use super::{BEFORE_END, break_step, mend_step};
use crate::relay::{Relayed, is_finalized};

/// A finalize that was interrupted after it had made the MOC has emitted no event. The one that ends its work does.
#[tokio::test]
async fn a_finalize_that_resumes_emits_its_events() {
    own_sqlite!();
    let relayed = Relayed::start("/ws/broadcast", &[]);
    let stack: &Stack = &relayed.stack;
    let (session, _) = stack.client().upload_pdf(100).await;
    let before = relayed.broadcaster.posts().len();
    break_step(stack, BEFORE_END);
    let _ = stack.client().finalize(&session, &unique_title()).await.problem(503, "STORE_UNAVAILABLE");
    assert_eq!(relayed.broadcaster.posts().len(), before);
    mend_step(stack);
    let moc = stack.client().finalize(&session, &unique_title()).await.success(200);
    assert_eq!(moc["resumed"], true);
    let posts = relayed.broadcaster.posts().split_off(before);
    let [post] = &posts[..] else { panic!("{posts:?}") };
    is_finalized(&session, &moc, post.body["events"].as_array().expect("a list of events"));
}
