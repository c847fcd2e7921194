//! The secret that webhooks are signed with, in the form of Standard Webhooks.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// Before a secret in base64.
const PREFIX: &str = "whsec_";

/// At least one byte. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl WebhookSecret {
    /// Reads base64 after `whsec_`, or any other text as its bytes. `None` for an empty secret or malformed base64.
    #[must_use]
    pub fn parse(secret: &str) -> Option<Self> {
        let bytes = match secret.strip_prefix(PREFIX) {
            Some(encoded) => BASE64_STANDARD.decode(encoded).ok()?,
            None => secret.as_bytes().to_vec(),
        };
        if bytes.is_empty() { None } else { Some(Self(bytes)) }
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_base64_or_text() {
        let bytes = |secret| WebhookSecret::parse(secret).map(|secret| secret.0);
        assert_eq!(bytes("whsec_YWJj"), Some(b"abc".to_vec()));
        assert_eq!(bytes("YWJj"), Some(b"YWJj".to_vec()));
        for malformed in ["", "whsec_", "whsec_YWJ", "whsec_a secret"] {
            assert_eq!(bytes(malformed), None, "{malformed}");
        }
    }
}
