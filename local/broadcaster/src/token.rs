//! Clients' tokens: each is for one session.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// The audience of every token.
const AUDIENCE: &str = "moc-uploads-progress";

/// The key that verifies clients' tokens: HS256 and no other algorithm.
pub struct TokenKey {
    key: Option<DecodingKey>,
    validation: Validation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    session_id: String,
}

impl TokenKey {
    /// The key of a secret; with an empty one, no token is valid.
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        validation.leeway = 0;
        // The second that `exp` names is over the limit already.
        validation.reject_tokens_expiring_in_less_than = 1;
        Self { key: (!secret.is_empty()).then(|| DecodingKey::from_secret(secret.as_bytes())), validation }
    }

    /// The session that a token is for, if the token is valid.
    pub fn session_of(&self, token: &str) -> Option<String> {
        let token = jsonwebtoken::decode::<Claims>(token, self.key.as_ref()?, &self.validation).ok()?;
        Some(token.claims.session_id)
    }
}
