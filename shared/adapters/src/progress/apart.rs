//! A session whose events the broadcaster rejects must not cost others theirs.

use futures::future::join_all;
use moc_contract::event::EventBatch;

use crate::forward::ForwardResult;

/// Publishes the events of several sessions together. If they are rejected, nothing of them is published: then those of
/// each session go alone, at once, and the outcome is the first that is not a success.
pub async fn together_or_apart(
    batches: &[EventBatch],
    publish: impl AsyncFn(&[EventBatch]) -> ForwardResult,
) -> ForwardResult {
    match publish(batches).await {
        ForwardResult::Rejected(_) if batches.len() > 1 => {
            let outcomes = join_all(batches.chunks(1).map(|alone| publish(alone))).await;
            let failure = outcomes.into_iter().find(|outcome| !matches!(outcome, ForwardResult::Sent));
            failure.unwrap_or(ForwardResult::Sent)
        }
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::FutureExt as _;

    use super::*;

    /// What is published of three sessions, by a broadcaster that responds so to a number of sessions.
    fn posts(respond: impl Fn(&[&str]) -> ForwardResult) -> (Vec<Vec<String>>, ForwardResult) {
        let batch = |session: &str| EventBatch { session_id: session.into(), user_id: "alice".into(), events: vec![] };
        let posts = RefCell::new(Vec::new());
        let publish = async |batches: &[EventBatch]| {
            let sessions: Vec<&str> = batches.iter().map(|batch| batch.session_id.as_str()).collect();
            posts.borrow_mut().push(sessions.iter().map(ToString::to_string).collect());
            respond(&sessions)
        };
        let outcome = together_or_apart(&["a", "b", "c"].map(batch), publish).now_or_never().unwrap();
        (posts.into_inner(), outcome)
    }

    fn rejected() -> ForwardResult {
        ForwardResult::Rejected("422".into())
    }

    #[test]
    fn what_is_accepted_is_published_once() {
        let (posts, outcome) = posts(|_| ForwardResult::Sent);
        assert_eq!(posts, [["a", "b", "c"]]);
        assert!(matches!(outcome, ForwardResult::Sent));
    }

    #[test]
    fn what_is_rejected_together_is_published_apart() {
        let (posts, outcome) = posts(|sessions| if sessions.len() > 1 { rejected() } else { ForwardResult::Sent });
        let [together, apart @ ..] = &posts[..] else { panic!("{posts:?}") };
        assert_eq!(*together, ["a", "b", "c"]);
        assert_eq!(apart, [["a"], ["b"], ["c"]]);
        assert!(matches!(outcome, ForwardResult::Sent));
    }

    #[test]
    fn a_session_that_is_rejected_alone_costs_no_other_its_events() {
        let (posts, outcome) = posts(|sessions| if sessions.contains(&"b") { rejected() } else { ForwardResult::Sent });
        assert_eq!(posts[1..], [["a"], ["b"], ["c"]]);
        assert!(matches!(outcome, ForwardResult::Rejected(_)));
    }

    #[test]
    fn a_broadcaster_that_fails_is_asked_once() {
        let (posts, outcome) = posts(|_| ForwardResult::Failed("500".into()));
        assert_eq!(posts.len(), 1);
        assert!(matches!(outcome, ForwardResult::Failed(_)));
    }
}
