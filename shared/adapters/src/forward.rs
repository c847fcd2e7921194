//! What one component of the application hands to another, and what comes of it.

use serde::Serialize;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::http::Response;
use crate::outbound::{self, Payload};

/// What has become of what was handed over. Between components it is a status, and a cause as text.
pub enum ForwardResult {
    /// It is where it should be: 204.
    Sent,
    /// There is nobody to send it to: 501.
    NotConfigured,
    /// It was not taken: 502.
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

/// Hands something to a component, by a POST of JSON with these headers next to it.
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
