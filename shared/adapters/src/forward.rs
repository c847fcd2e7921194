//! Work that a route hands to another component of the application.

use crate::http::Response;

/// What has become of it. Between components it is a status, and a cause as text.
pub enum ForwardResult {
    /// It was delivered: 2xx.
    Sent,
    /// No receiver is configured, or it has failed a moment ago: 501.
    NotConfigured,
    /// The receiver does not take what was sent: 422. It may take a part of it.
    Rejected(String),
    /// It was not delivered: 502.
    Failed(String),
}

impl From<ForwardResult> for Response {
    fn from(outcome: ForwardResult) -> Self {
        match outcome {
            ForwardResult::Sent => Self::no_content(),
            ForwardResult::NotConfigured => Self::new(501, "text/plain", Vec::new()),
            ForwardResult::Rejected(cause) => Self::new(422, "text/plain", cause.into_bytes()),
            ForwardResult::Failed(cause) => Self::new(502, "text/plain", cause.into_bytes()),
        }
    }
}
