//! What one component of the application hands to another, and what comes of it.

use serde::Serialize;
use spin_sdk::wasip3::http::types::Method;
use url::Url;

use crate::http::Response;
use crate::outbound::{self, Payload};

/// What has become of what was handed over. Between components it is a status, and a cause as text.
pub enum Outcome {
    /// It is where it should be: 204.
    Sent,
    /// There is nobody to send it to: 501.
    NotConfigured,
    /// It was not taken: 502.
    Failed(String),
}

impl From<Outcome> for Response {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Sent => Self::no_content(),
            Outcome::NotConfigured => Self::new(501, "text/plain", Vec::new()),
            Outcome::Failed(cause) => Self::new(502, "text/plain", cause.into_bytes()),
        }
    }
}

/// Hands something to a component, by a POST of JSON with these headers next to it.
pub(crate) async fn hand_over(component: &str, headers: &[(&'static str, String)], body: &impl Serialize) -> Outcome {
    let address = format!("http://{component}.spin.internal/");
    let (Ok(url), Ok(body)) = (Url::parse(&address), serde_json::to_vec(body)) else {
        return Outcome::Failed(format!("what {component} should get cannot be written"));
    };
    let mut headers = outbound::borrowed(headers);
    headers.push(("content-type", "application/json"));
    let reply = match outbound::send(Method::Post, &url, &headers, Payload::Bytes(body)).await {
        Ok(reply) => reply,
        Err(error) => return Outcome::Failed(format!("{component}: {error}")),
    };
    match reply.status {
        204 => Outcome::Sent,
        501 => Outcome::NotConfigured,
        502 => Outcome::Failed(reply.cause().await),
        status => Outcome::Failed(format!("{component} answered {status}")),
    }
}
