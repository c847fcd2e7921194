//! Clients' tokens: each is for one session.

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

/// The audience of every token.
const AUDIENCE: &str = "moc-uploads-progress";

/// The keys that verify clients' tokens: HS256 and no other algorithm.
pub struct TokenKeys {
    keys: Vec<DecodingKey>,
    validation: Validation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Claims {
    session_id: String,
}

impl TokenKeys {
    /// The keys of secrets, of which those that are empty verify nothing.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["aud", "exp"]);
        validation.leeway = 0;
        // The second that `exp` names is over the limit already.
        validation.reject_tokens_expiring_in_less_than = 1;
        let secrets = secrets.into_iter().filter(|secret| !secret.is_empty());
        Self { keys: secrets.map(|secret| DecodingKey::from_secret(secret.as_bytes())).collect(), validation }
    }

    /// The session that a token is for, if the token is valid.
    pub fn session_of(&self, token: &str) -> Option<String> {
        let verified = |key| jsonwebtoken::decode::<Claims>(token, key, &self.validation).ok();
        Some(self.keys.iter().find_map(verified)?.claims.session_id)
    }
}
