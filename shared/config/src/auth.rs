//! The variables of users' tokens.

use moc_domain::id::UserId;
use url::Url;

use crate::websocket::WATCH_AUDIENCE;
use crate::{Notice, Values, VariableError};

/// How users prove who they are.
#[derive(Clone, Debug)]
pub enum AuthSettings {
    /// Everyone is this user. For development only.
    Bypass(UserId),
    /// A JWT that verifies with `key`.
    Token {
        /// What it verifies with.
        key: TokenKey,
        /// The `iss` that it must have.
        issuer: Option<String>,
        /// The `aud` that it must have.
        audience: Option<String>,
    },
    /// Nobody can.
    Closed,
}

/// What a JWT verifies with.
#[derive(Clone, Debug)]
pub enum TokenKey {
    /// HS256 with this secret.
    Secret(String),
    /// RS256 or ES256 with the keys at this address (RFC 7517).
    JwkSet(Url),
}

impl AuthSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] =
        &["auth_bypass", "dev_user_sub", "jwt_secret", "jwt_jwks_url", "jwt_jwks_origin", "jwt_issuer", "jwt_audience"];

    /// Reads the variables, and what to log.
    ///
    /// # Errors
    /// The first variable that cannot be read, or that contradicts another one.
    pub fn parse(values: &Values) -> Result<(Self, Vec<Notice>), VariableError> {
        let [secret, jwks] = ["jwt_secret", "jwt_jwks_url"];
        let both = |name, other| Err(VariableError { name, problem: format!("must not be set together with {other}") });
        if values.flag("auth_bypass")? {
            let name = "dev_user_sub";
            let user = UserId::parse(values.text(name).unwrap_or("dev-user"));
            let problem = || "must have 1 to 255 bytes without control characters".into();
            let user = user.ok_or_else(|| VariableError { name, problem: problem() })?;
            return match [secret, jwks].into_iter().find(|name| values.text(name).is_some()) {
                Some(name) => both("auth_bypass", name),
                None => {
                    let warning = format!("auth_bypass is on: every request is authenticated as {user}");
                    Ok((Self::Bypass(user), vec![warning.into()]))
                }
            };
        }
        if values.text(secret).is_some() && values.text(jwks).is_some() {
            return both(secret, jwks);
        }
        let mut notices = Vec::new();
        let key = match values.token_secret(secret) {
            Ok(Some(secret)) => Some(TokenKey::Secret(secret.to_owned())),
            Ok(None) => jwk_set(values, &mut notices)?.map(TokenKey::JwkSet),
            Err(weak) => {
                notices.push(Notice::Error(weak.to_string()));
                None
            }
        };
        let text = |name| values.text(name).map(str::to_owned);
        let (issuer, audience) = (text("jwt_issuer"), text("jwt_audience"));
        if audience.as_deref() == Some(WATCH_AUDIENCE) {
            let problem = format!("must not be {WATCH_AUDIENCE}, the audience of tokens for watching");
            return Err(VariableError { name: "jwt_audience", problem });
        }
        let Some(key) = key else {
            notices.push("neither jwt_secret nor jwt_jwks_url is set: every request is rejected".to_owned().into());
            return Ok((Self::Closed, notices));
        };
        if matches!(key, TokenKey::JwkSet(_)) && issuer.is_none() && audience.is_none() {
            let warning = "jwt_jwks_url is set without jwt_issuer and jwt_audience: every token of the issuer is \
                           accepted, for whatever service it is";
            notices.push(warning.to_owned().into());
        }
        Ok((Self::Token { key, issuer, audience }, notices))
    }
}

/// A JWK set's address counts only inside the origin that the components are granted.
fn jwk_set(values: &Values, notices: &mut Vec<Notice>) -> Result<Option<Url>, VariableError> {
    let Some(url) = values.url("jwt_jwks_url", &["http", "https"])? else { return Ok(None) };
    let granted = values.origin("jwt_jwks_origin")?;
    if granted.is_some_and(|origin| origin.origin() == url.origin()) {
        return Ok(Some(url));
    }
    let warning = "jwt_jwks_url has a different origin than jwt_jwks_origin and is ignored: set both to one origin";
    notices.push(warning.to_owned().into());
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "a-secret-of-at-least-thirty-two-bytes";
    const JWKS: [(&str, &str); 2] =
        [("jwt_jwks_url", "https://id.example.com/keys"), ("jwt_jwks_origin", "https://id.example.com")];

    fn parse(pairs: &[(&'static str, &str)]) -> Result<(AuthSettings, Vec<Notice>), VariableError> {
        AuthSettings::parse(&pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    }

    fn error(pairs: &[(&'static str, &str)]) -> String {
        parse(pairs).map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn a_key_set_outside_its_origin_counts_as_unset() {
        for origin in ["", "https://id.example.org", "http://id.example.com", "https://id.example.com:8443"] {
            let rejected = parse(&[JWKS[0], ("jwt_jwks_origin", origin)]);
            let warned = rejected.as_ref().is_ok_and(|(_, notices)| {
                let names = |text: &str| text.contains("jwt_jwks_url") && text.contains("jwt_jwks_origin");
                notices.iter().any(|notice| matches!(notice, Notice::Warning(text) if names(text)))
            });
            assert!(matches!(rejected, Ok((AuthSettings::Closed, _))) && warned, "{origin}");
        }
    }

    #[test]
    fn a_key_set_without_issuer_and_audience_is_one_warning() {
        let [url, origin] = JWKS;
        let Ok((AuthSettings::Token { .. }, notices)) = parse(&JWKS) else { unreachable!("a key set") };
        assert!(
            matches!(&notices[..], [Notice::Warning(text)] if text.contains("jwt_issuer") && text.contains("jwt_audience"))
        );
        for more in [("jwt_issuer", "https://id.example.com/"), ("jwt_audience", "uploads")] {
            assert!(
                matches!(parse(&[url, origin, more]), Ok((AuthSettings::Token { .. }, notices)) if notices.is_empty())
            );
        }
        let secret = parse(&[("jwt_secret", SECRET)]);
        assert!(matches!(secret, Ok((AuthSettings::Token { .. }, notices)) if notices.is_empty()));
    }

    #[test]
    fn a_weak_secret_counts_as_unset_and_is_an_error_line_without_its_value() {
        for weak in ["CHANGE-ME", "hunter2"] {
            let Ok((AuthSettings::Closed, notices)) = parse(&[("jwt_secret", weak)]) else { unreachable!("{weak}") };
            let [Notice::Error(text), Notice::Warning(_)] = &notices[..] else { unreachable!("{notices:?}") };
            assert!(text.contains("jwt_secret") && !text.contains(weak), "{text}");
        }
    }

    #[test]
    fn only_one_way_in_can_be_configured() {
        let [url, origin] = JWKS;
        let bypass = ("auth_bypass", "true");
        let together = |name: &str, other: &str| format!("the variable {name} must not be set together with {other}");
        for secret in [SECRET, "CHANGE-ME"] {
            assert_eq!(error(&[bypass, ("jwt_secret", secret)]), together("auth_bypass", "jwt_secret"));
            assert_eq!(error(&[("jwt_secret", secret), url, origin]), together("jwt_secret", "jwt_jwks_url"));
        }
        assert_eq!(error(&[bypass, url, origin]), together("auth_bypass", "jwt_jwks_url"));
        // One that would be ignored was meant to be a way in too.
        assert_eq!(error(&[bypass, url]), together("auth_bypass", "jwt_jwks_url"));
        assert!(matches!(parse(&[bypass, ("jwt_secret", " ")]), Ok((AuthSettings::Bypass(_), _))));
        assert!(matches!(
            parse(&[("auth_bypass", "false"), ("jwt_secret", SECRET)]),
            Ok((AuthSettings::Token { .. }, _))
        ));
    }

    #[test]
    fn users_tokens_do_not_have_the_audience_of_tokens_for_watching() {
        let error = error(&[("jwt_secret", SECRET), ("jwt_audience", "moc-uploads-progress")]);
        assert!(error.contains("jwt_audience"), "{error}");
    }
}
