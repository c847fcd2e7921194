//! The variables of what follows a finalize: the thumbnail and the webhook.
//!
//! All of it is extra: what is missing or does not fit turns it off and never stops a finalize.

use url::Url;

use moc_domain::limits::WEBHOOK_SECRET_MIN_BYTES;

use crate::{Notice, Values, VariableError, WebhookSecret, secret};

/// What follows a finalize.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FinalizeSettings {
    /// Whether a thumbnail is made.
    pub thumbnail: bool,
    /// Whether a webhook is delivered. Finalize is granted neither its host nor its secret.
    pub webhook: bool,
}

impl FinalizeSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] =
        &["enable_thumbnail_generation", "moc_finalize_webhook_url", "moc_finalize_webhook_origin"];

    /// Reads the variables, and what to warn of.
    #[must_use]
    pub fn parse(values: &Values) -> (Self, Vec<String>) {
        let mut warnings = Vec::new();
        let mut or_off = |read: Result<bool, VariableError>, what: &str| {
            read.unwrap_or_else(|error| {
                warnings.push(format!("{error}: {what}"));
                false
            })
        };
        let thumbnail = or_off(values.flag("enable_thumbnail_generation"), "no thumbnails are made");
        let (webhook, warning) = receiver(values).unwrap_or_else(|error| (None, Some(error.to_string())));
        warnings.extend(warning);
        (Self { thumbnail, webhook: webhook.is_some() }, warnings)
    }
}

/// Where webhooks go.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    pub url: Url,
    /// What they are signed with. Without one they are not signed.
    pub secret: Option<WebhookSecret>,
}

impl WebhookSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] =
        &["moc_finalize_webhook_url", "moc_finalize_webhook_origin", "moc_finalize_webhook_secret"];

    /// Reads the variables, and what to log. `None` if there is no receiver, or where its
    /// address lies outside the origin that the sender is granted.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<(Option<Self>, Option<Notice>), VariableError> {
        let (url, warning) = receiver(values)?;
        let Some(url) = url else { return Ok((None, warning.map(Notice::Warning))) };
        let name = "moc_finalize_webhook_secret";
        let Some(text) = values.text(name) else {
            let warning = format!("moc_finalize_webhook_url is set without {name}: webhooks are not signed");
            return Ok((Some(Self { url, secret: None }), Some(warning.into())));
        };
        let problem = || "must be base64 after whsec_, or any other text".into();
        let secret = WebhookSecret::parse(text).ok_or_else(|| VariableError { name, problem: problem() })?;
        match secret::check(name, text, secret.as_bytes().len(), WEBHOOK_SECRET_MIN_BYTES) {
            Ok(()) => Ok((Some(Self { url, secret: Some(secret) }), None)),
            Err(weak) => {
                let notice = Notice::Error(format!("{weak}: webhooks are not signed"));
                Ok((Some(Self { url, secret: None }), Some(notice)))
            }
        }
    }
}

/// The URL of the receiver, and what to warn of. `None` if there is none, or where it lies outside its origin.
fn receiver(values: &Values) -> Result<(Option<Url>, Option<String>), VariableError> {
    let granted = values.origin("moc_finalize_webhook_origin")?;
    let Some(url) = values.url("moc_finalize_webhook_url", &["http", "https"])? else { return Ok((None, None)) };
    if granted.is_some_and(|origin| origin.origin() == url.origin()) {
        return Ok((Some(url), None));
    }
    let warning = "moc_finalize_webhook_url has a different origin than moc_finalize_webhook_origin and is ignored: \
                   set both to one origin";
    Ok((None, Some(warning.into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    const URL: (&str, &str) = ("moc_finalize_webhook_url", "https://hooks.example/moc?key=1");
    const ORIGIN: (&str, &str) = ("moc_finalize_webhook_origin", "https://hooks.example");

    #[test]
    fn nothing_follows_where_nothing_is_set() {
        assert_eq!(FinalizeSettings::parse(&values(&[])), (FinalizeSettings::default(), Vec::new()));
    }

    #[test]
    fn everything_follows_that_is_set() {
        let given = values(&[URL, ORIGIN, ("enable_thumbnail_generation", "true")]);
        let all = FinalizeSettings { thumbnail: true, webhook: true };
        assert_eq!(FinalizeSettings::parse(&given), (all, Vec::new()));
    }

    #[test]
    fn what_cannot_be_read_is_off_and_warned_of() {
        for (name, value) in [("enable_thumbnail_generation", "maybe"), ("moc_finalize_webhook_url", "hooks.example")] {
            let (settings, warnings) = FinalizeSettings::parse(&values(&[(name, value)]));
            assert_eq!(settings, FinalizeSettings::default(), "{name}");
            assert!(warnings.iter().any(|warning| warning.contains(name)), "{name}: {warnings:?}");
        }
    }

    #[test]
    fn a_receiver_outside_its_origin_is_warned_of_by_both_names() {
        for origin in ["", "http://hooks.example", "https://hooks.example:8443", "https://other.example"] {
            let parsed = WebhookSettings::parse(&values(&[URL, (ORIGIN.0, origin)]));
            let Ok((None, Some(Notice::Warning(warning)))) = parsed else { unreachable!("{origin} is another origin") };
            assert!(warning.contains(URL.0) && warning.contains(ORIGIN.0));
        }
        assert!(WebhookSettings::parse(&values(&[URL, ORIGIN])).is_ok_and(|(settings, _)| settings.is_some()));
    }

    fn signed(secret: &str) -> Result<(Option<WebhookSettings>, Option<Notice>), VariableError> {
        WebhookSettings::parse(&values(&[URL, ORIGIN, ("moc_finalize_webhook_secret", secret)]))
    }

    #[test]
    fn a_secret_that_signs_nothing_is_an_error() {
        for secret in ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "any other text of 24 bytes"] {
            assert!(matches!(signed(secret), Ok((Some(WebhookSettings { secret: Some(_), .. }), None))), "{secret}");
        }
        let error = signed("whsec_a%").map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("moc_finalize_webhook_secret") && !error.to_string().contains("a%"));
    }

    #[test]
    fn webhooks_without_a_strong_secret_are_not_signed_and_one_line_says_so() {
        let unsigned = |secret: &str| match signed(secret) {
            Ok((Some(WebhookSettings { secret: None, .. }), Some(notice))) => notice,
            other => unreachable!("{secret}: {other:?}"),
        };
        assert!(matches!(unsigned(""), Notice::Warning(text) if text.contains("moc_finalize_webhook_secret")));
        for weak in ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMQ==", "too short", "CHANGE-ME and 24 bytes or more"] {
            let Notice::Error(text) = unsigned(weak) else { unreachable!("{weak}") };
            assert!(text.contains("moc_finalize_webhook_secret") && !text.contains(weak), "{text}");
        }
        // Finalize is not granted the secret, and does not miss it.
        assert_eq!(FinalizeSettings::parse(&values(&[URL, ORIGIN])).1, Vec::<String>::new());
    }
}
