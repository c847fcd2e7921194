//! Requests from one component of the application to another, and their results.

use serde::Serialize;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::http::Response;
use crate::outbound::{self, Payload};

/// The result of a forwarded request. Between components it is a status, and a cause as text.
pub enum ForwardResult {
    /// It was delivered: 204.
    Sent,
    /// No receiver is configured: 501.
    NotConfigured,
    /// It was not delivered: 502.
    Failed(String),
}

impl From<ForwardResult> for Response {
    fn from(outcome: ForwardResult) -> Self {
        match outcome {
            ForwardResult::Sent => Self::no_content(),
            ForwardResult::NotConfigured => Self::new(501, "text/plain", Vec::new()),
            ForwardResult::Failed(cause) => Self::new(502, "text/plain", cause.into_bytes()),
        }
    }
}

/// Sends a component a POST of JSON with these headers.
pub(crate) async fn forward(
    component: &str,
    headers: &[(&'static str, String)],
    body: &impl Serialize,
) -> ForwardResult {
    let address = format!("http://{component}.spin.internal/");
    let (Ok(url), Ok(body)) = (Url::parse(&address), serde_json::to_vec(body)) else {
        return ForwardResult::Failed(format!("what {component} should get cannot be written"));
    };
    let mut headers = outbound::borrowed(headers);
    headers.push(("content-type", "application/json"));
    let reply = match outbound::send(Method::Post, &url, &headers, Payload::Bytes(body)).await {
        Ok(reply) => reply,
        Err(error) => return ForwardResult::Failed(format!("{component}: {error}")),
    };
    match reply.status {
        204 => ForwardResult::Sent,
        501 => ForwardResult::NotConfigured,
        502 => ForwardResult::Failed(reply.cause().await),
        status => ForwardResult::Failed(format!("{component} responded {status}")),
    }
}
