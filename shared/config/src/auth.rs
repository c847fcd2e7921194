//! The variables of users' tokens.

use moc_domain::id::UserId;
use moc_domain::limits::{
    CLAIM_NAME_MAX_BYTES, REQUIRED_SCOPE_MAX_BYTES, TOKEN_LEEWAY_DEFAULT_SECONDS, TOKEN_LEEWAY_MAX_SECONDS,
    TOKEN_LIST_MAX,
};
use url::Url;

use crate::websocket::WATCH_AUDIENCE;
use crate::{Notice, Values, VariableError};

/// How users prove who they are.
#[derive(Clone, Debug)]
pub enum AuthSettings {
    /// Everyone is this user. For development only.
    Bypass(UserId),
    /// A JWT that verifies with `key` and whose claims meet the `rules`.
    Token { key: TokenKey, rules: TokenRules },
    /// Nobody can.
    Closed,
}

/// What a JWT verifies with.
#[derive(Clone, Debug)]
pub enum TokenKey {
    /// HS256 with the secret, or with the one before it while secrets are rotated.
    Secrets { current: String, previous: Option<String> },
    /// The keys at this address (RFC 7517).
    JwkSet(Url),
}

/// What the claims of a JWT have to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// `iss` has to be one of these, unless there are none.
    pub issuers: Vec<String>,
    /// `aud` has to have one of these, unless there are none.
    pub audiences: Vec<String>,
    /// How far the clocks of the issuer and of this server may be apart.
    pub leeway_seconds: u64,
    /// The claim that has the user's id.
    pub user_claim: String,
    /// The scopes that a token has to have, all of them (RFC 6749, section 3.3).
    pub required_scopes: Vec<String>,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            issuers: Vec::new(),
            audiences: Vec::new(),
            leeway_seconds: TOKEN_LEEWAY_DEFAULT_SECONDS,
            user_claim: "sub".into(),
            required_scopes: Vec::new(),
        }
    }
}

impl TokenRules {
    fn parse(values: &Values) -> Result<Self, VariableError> {
        let default = Self::default();
        let audiences = list(values, "jwt_audience")?;
        if audiences.iter().any(|audience| audience == WATCH_AUDIENCE) {
            let problem = format!("must not be {WATCH_AUDIENCE}, the audience of tokens for watching");
            return Err(VariableError { name: "jwt_audience", problem });
        }
        let leeway = values.number("jwt_leeway_seconds", 0..=TOKEN_LEEWAY_MAX_SECONDS, TOKEN_LEEWAY_DEFAULT_SECONDS)?;
        let name = "jwt_user_claim";
        let user_claim = values.text(name).unwrap_or(&default.user_claim);
        if user_claim.len() > CLAIM_NAME_MAX_BYTES {
            return Err(VariableError { name, problem: format!("must have at most {CLAIM_NAME_MAX_BYTES} bytes") });
        }
        Ok(Self {
            issuers: list(values, "jwt_issuer")?,
            audiences,
            leeway_seconds: leeway,
            user_claim: user_claim.to_owned(),
            required_scopes: scopes(values)?,
        })
    }
}

/// Texts with commas between them.
fn list(values: &Values, name: &'static str) -> Result<Vec<String>, VariableError> {
    let texts = values.text(name).unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty());
    let texts: Vec<String> = texts.map(str::to_owned).collect();
    if texts.len() > TOKEN_LIST_MAX {
        return Err(VariableError { name, problem: format!("must have at most {TOKEN_LIST_MAX} values") });
    }
    Ok(texts)
}

/// Scopes have only characters that a quoted header value can have too (RFC 6750, section 3).
fn scopes(values: &Values) -> Result<Vec<String>, VariableError> {
    let name = "jwt_required_scope";
    let text = values.text(name).unwrap_or_default();
    let is_allowed = |character: char| matches!(character, ' '..='~') && !matches!(character, '"' | '\\');
    if text.len() <= REQUIRED_SCOPE_MAX_BYTES && text.chars().all(is_allowed) {
        return Ok(text.split_ascii_whitespace().map(str::to_owned).collect());
    }
    let problem =
        format!("must have at most {REQUIRED_SCOPE_MAX_BYTES} ASCII characters without quotes and backslashes");
    Err(VariableError { name, problem })
}

impl AuthSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "auth_bypass",
        "dev_user_sub",
        "jwt_secret",
        "jwt_secret_previous",
        "jwt_jwks_url",
        "jwt_jwks_origin",
        "jwt_issuer",
        "jwt_audience",
        "jwt_leeway_seconds",
        "jwt_user_claim",
        "jwt_required_scope",
    ];

    /// Reads the variables, and what to log.
    ///
    /// # Errors
    /// The first variable that cannot be read, or that contradicts another one.
    pub fn parse(values: &Values) -> Result<(Self, Vec<Notice>), VariableError> {
        // An origin grants a host: one that cannot be read grants none of the others either.
        values.origin("jwt_jwks_origin")?;
        let [secret, previous, jwks] = ["jwt_secret", "jwt_secret_previous", "jwt_jwks_url"];
        let both = |name, other| Err(VariableError { name, problem: format!("must not be set together with {other}") });
        let rules = TokenRules::parse(values)?;
        if values.flag("auth_bypass")? {
            let name = "dev_user_sub";
            let user = UserId::parse(values.text(name).unwrap_or("dev-user"));
            let problem = || "must have 1 to 255 bytes without control characters".into();
            let user = user.ok_or_else(|| VariableError { name, problem: problem() })?;
            return match [secret, previous, jwks].into_iter().find(|name| values.text(name).is_some()) {
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
        let current = values.token_secret(secret).unwrap_or_else(|weak| {
            notices.push(Notice::Error(weak.to_string()));
            None
        });
        let (previous, notice) = values.previous_token_secret(previous, secret, current.is_some());
        notices.extend(notice);
        let key = match current {
            Some(current) => {
                Some(TokenKey::Secrets { current: current.to_owned(), previous: previous.map(str::to_owned) })
            }
            None => jwk_set(values, &mut notices)?.map(TokenKey::JwkSet),
        };
        let Some(key) = key else {
            notices.push("neither jwt_secret nor jwt_jwks_url is set: every request is rejected".to_owned().into());
            return Ok((Self::Closed, notices));
        };
        if matches!(key, TokenKey::JwkSet(_)) && rules.issuers.is_empty() && rules.audiences.is_empty() {
            let warning = "jwt_jwks_url is set without jwt_issuer and jwt_audience: every token of the issuer is \
                           accepted, for whatever service it is";
            notices.push(warning.to_owned().into());
        }
        Ok((Self::Token { key, rules }, notices))
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
        let previous = ("jwt_secret_previous", SECRET);
        assert_eq!(error(&[bypass, previous]), together("auth_bypass", "jwt_secret_previous"));
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

    fn rules(pairs: &[(&'static str, &str)]) -> TokenRules {
        let given = [&[("jwt_secret", SECRET)], pairs].concat();
        let Ok((AuthSettings::Token { rules, .. }, _)) = parse(&given) else { unreachable!("{pairs:?}") };
        rules
    }

    #[test]
    fn rules_have_defaults_and_bounds() {
        assert_eq!(rules(&[]), TokenRules::default());
        assert_eq!((rules(&[]).leeway_seconds, rules(&[]).user_claim.as_str()), (60, "sub"));
        assert_eq!(rules(&[("jwt_leeway_seconds", "0")]).leeway_seconds, 0);
        assert_eq!(rules(&[("jwt_user_claim", "https://example.com/uid")]).user_claim, "https://example.com/uid");
        let long = "x".repeat(129);
        let many = ["a"; 17].join(",");
        for (name, value) in [
            ("jwt_leeway_seconds", "601"),
            ("jwt_leeway_seconds", "-1"),
            ("jwt_user_claim", long.as_str()),
            ("jwt_issuer", many.as_str()),
            ("jwt_audience", many.as_str()),
            ("jwt_required_scope", "a\"b"),
            ("jwt_required_scope", "a\\b"),
            ("jwt_required_scope", "ünïcode"),
            ("jwt_required_scope", &"x".repeat(257)),
        ] {
            let error = error(&[("jwt_secret", SECRET), (name, value)]);
            assert!(error.starts_with(&format!("the variable {name} must")), "{name}={value}: {error}");
        }
    }

    #[test]
    fn issuers_audiences_and_scopes_are_lists() {
        let given = rules(&[
            ("jwt_issuer", "https://a.example/, https://b.example,"),
            ("jwt_audience", "uploads , api://uploads"),
            ("jwt_required_scope", "uploads:write  mocs:write"),
        ]);
        assert_eq!(given.issuers, ["https://a.example/", "https://b.example"]);
        assert_eq!(given.audiences, ["uploads", "api://uploads"]);
        assert_eq!(given.required_scopes, ["uploads:write", "mocs:write"]);
        let watch = error(&[("jwt_secret", SECRET), ("jwt_audience", "uploads,moc-uploads-progress")]);
        assert!(watch.contains("jwt_audience"), "{watch}");
    }

    #[test]
    fn secrets_are_rotated_with_the_previous_one() {
        const NEW: &str = "another-secret-of-at-least-thirty-two-bytes";
        let both = parse(&[("jwt_secret", NEW), ("jwt_secret_previous", SECRET)]);
        let Ok((AuthSettings::Token { key: TokenKey::Secrets { current, previous }, .. }, notices)) = both else {
            unreachable!("two secrets")
        };
        assert_eq!((current.as_str(), previous.as_deref(), notices.len()), (NEW, Some(SECRET), 0));

        let weak = parse(&[("jwt_secret", NEW), ("jwt_secret_previous", "hunter2")]);
        let Ok((AuthSettings::Token { key: TokenKey::Secrets { previous: None, .. }, .. }, notices)) = weak else {
            unreachable!("a weak previous secret")
        };
        let [Notice::Error(text)] = &notices[..] else { unreachable!("{notices:?}") };
        assert!(text.contains("jwt_secret_previous") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn a_previous_secret_alone_verifies_nothing_and_is_warned_of() {
        let warned = |notices: &[Notice]| {
            let named =
                |notice: &Notice| matches!(notice, Notice::Warning(text) if text.contains("jwt_secret_previous"));
            notices.iter().any(named)
        };
        let alone = parse(&[("jwt_secret_previous", SECRET)]);
        assert!(matches!(alone, Ok((AuthSettings::Closed, notices)) if warned(&notices)));
        let [url, origin] = JWKS;
        let with_keys = parse(&[url, origin, ("jwt_secret_previous", SECRET)]);
        assert!(matches!(
            with_keys,
            Ok((AuthSettings::Token { key: TokenKey::JwkSet(_), .. }, notices)) if warned(&notices)
        ));
    }
}
