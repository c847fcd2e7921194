//! The signature of a webhook
//! ([Standard Webhooks](https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md)).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use moc_config::WebhookSecret;
use sha2::Sha256;

/// `webhook-signature`: a signature with each secret, with spaces between them, so that a receiver may know any of
/// them. `None` without secrets.
pub fn sign(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let signatures: Vec<String> = secrets.iter().map(|secret| signature(secret, id, timestamp, body)).collect();
    Some(signatures.join(" ")).filter(|signatures| !signatures.is_empty())
}

/// HMAC-SHA256 (RFC 2104) of id, time in seconds, and body.
fn signature(secret: &WebhookSecret, id: &str, timestamp: i64, body: &[u8]) -> String {
    // HMAC takes a key of any length.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    let mac = mac.chain_update(format!("{id}.{timestamp}.")).chain_update(body).finalize();
    format!("v1,{}", BASE64_STANDARD.encode(mac.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries.
    #[test]
    fn signs_as_the_reference_does() {
        let secret = WebhookSecret::parse("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        let body = br#"{"email":"test@example.com","username":"test_user"}"#;
        let sign = |secrets: &[WebhookSecret]| sign(secrets, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1_649_367_553, body);
        let signature = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";
        assert_eq!(sign(std::slice::from_ref(&secret)).as_deref(), Some(signature));

        let new = WebhookSecret::parse("a new secret of 24 bytes").unwrap();
        let both = sign(&[new.clone(), secret]).unwrap();
        assert_eq!(both, format!("{} {signature}", sign(&[new]).unwrap()));
        assert_eq!(sign(&[]), None);
    }
}
