//! Which secrets are too weak to sign anything with.

use moc_domain::limits::TOKEN_SECRET_MIN_BYTES;

use crate::{Notice, Values, VariableError};

/// What samples and tutorials have where a secret belongs: everybody knows them. Letters and digits only.
const PLACEHOLDERS: [&str; 7] = [
    "changeme",
    "changethis",
    "replaceme",
    "yoursecret",
    "yourjwtsecret",
    "your256bitsecret",
    "astringsecretatleast256bitslong",
];

impl Values {
    /// A secret that signs tokens with HS256.
    ///
    /// # Errors
    /// One that is too short (RFC 7518, section 3.2) or a known placeholder. It counts as unset.
    pub(crate) fn token_secret(&self, name: &'static str) -> Result<Option<&str>, VariableError> {
        let Some(secret) = self.text(name) else { return Ok(None) };
        check(name, secret, secret.len(), TOKEN_SECRET_MIN_BYTES).map(|()| Some(secret))
    }

    /// The secret before the current one, and what to log: it counts only next to a current one, and if it is strong.
    pub(crate) fn previous_token_secret(
        &self,
        name: &'static str,
        current: &'static str,
        has_current: bool,
    ) -> (Option<&str>, Option<Notice>) {
        match self.token_secret(name) {
            Ok(Some(_)) if !has_current => (None, Some(alone(name, current))),
            Ok(previous) => (previous, None),
            Err(weak) => (None, Some(Notice::Error(weak.to_string()))),
        }
    }
}

/// The notice of a previous secret without a current one.
pub fn alone(name: &str, current: &str) -> Notice {
    Notice::Warning(format!("{name} is set without {current} and is ignored"))
}

/// Whether a secret of so many bytes can be used.
pub fn check(name: &'static str, secret: &str, bytes: usize, min_bytes: usize) -> Result<(), VariableError> {
    let problem = if is_placeholder(secret) {
        "is a known placeholder and counts as unset".into()
    } else if bytes < min_bytes {
        format!("has fewer than {min_bytes} bytes and counts as unset")
    } else {
        return Ok(());
    };
    Err(VariableError { name, problem })
}

fn is_placeholder(secret: &str) -> bool {
    let plain: String = secret.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    PLACEHOLDERS.iter().any(|placeholder| plain.contains(placeholder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_for_tokens_has_32_bytes_and_is_not_from_a_sample() {
        let secret = |secret: &str| {
            let values: Values = [("jwt_secret", secret.to_owned())].into_iter().collect();
            values.token_secret("jwt_secret").map(|secret| secret.map(str::to_owned)).map_err(|error| error.to_string())
        };
        assert_eq!(secret(" "), Ok(None));
        for good in ["0123456789abcdef0123456789abcdef", "ünïcödé counts in bytes, not in characters"] {
            assert_eq!(secret(good), Ok(Some(good.to_owned())));
        }
        for short in ["secret", "0123456789abcdef0123456789abcde", "local-secret"] {
            let error = "the variable jwt_secret has fewer than 32 bytes and counts as unset";
            assert_eq!(secret(short), Err(error.to_owned()));
        }
        for placeholder in [
            "CHANGE-ME",
            "change_me, and thirty-two bytes or more",
            "Please change this to a long random value",
            "your-secret-key-with-at-least-32-bytes",
            "a-string-secret-at-least-256-bits-long",
        ] {
            let error = "the variable jwt_secret is a known placeholder and counts as unset";
            assert_eq!(secret(placeholder), Err(error.to_owned()));
        }
    }
}
