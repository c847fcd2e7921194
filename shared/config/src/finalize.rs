//! The variables of what follows a finalize: the thumbnail and the webhook.
//!
//! All of it is extra: what is missing or does not fit turns it off and never stops a finalize.

use url::Url;

use moc_domain::limits::WEBHOOK_SECRET_MIN_BYTES;

use crate::{Notice, Values, VariableError, WebhookSecret, secret};

/// What follows from a variable of the receiver that cannot be read.
pub(crate) const NO_WEBHOOKS: &str = "no webhooks are sent";

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
        let (webhook, warning) =
            receiver(values).unwrap_or_else(|error| (None, Some(format!("{error}: {NO_WEBHOOKS}"))));
        warnings.extend(warning);
        (Self { thumbnail, webhook: webhook.is_some() }, warnings)
    }
}

/// Where webhooks go.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    pub url: Url,
    /// What they are signed with: the secret, and the one before it while secrets are rotated. Without any they are not
    /// signed.
    pub secrets: Vec<WebhookSecret>,
}

impl WebhookSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "moc_finalize_webhook_url",
        "moc_finalize_webhook_origin",
        "moc_finalize_webhook_secret",
        "moc_finalize_webhook_secret_previous",
    ];

    /// Reads the variables, and what to log. `None` if there is no receiver, or where its
    /// address lies outside the origin that the sender is granted.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<(Option<Self>, Vec<Notice>), VariableError> {
        let (url, warning) = receiver(values)?;
        let Some(url) = url else { return Ok((None, warning.map(Notice::Warning).into_iter().collect())) };
        let [name, previous] = ["moc_finalize_webhook_secret", "moc_finalize_webhook_secret_previous"];
        let mut notices = Vec::new();
        let current = webhook_secret(values, name)?.unwrap_or_else(|weak| {
            notices.push(Notice::Error(format!("{weak}: webhooks are not signed")));
            None
        });
        if values.text(name).is_none() {
            let warning = format!("moc_finalize_webhook_url is set without {name}: webhooks are not signed");
            notices.push(warning.into());
        }
        let before = webhook_secret(values, previous)?.unwrap_or_else(|weak| {
            notices.push(Notice::Error(weak.to_string()));
            None
        });
        if before.is_some() && current.is_none() {
            notices.push(secret::alone(previous, name));
        }
        let before = before.filter(|_| current.is_some());
        Ok((Some(Self { url, secrets: current.into_iter().chain(before).collect() }), notices))
    }
}

/// A secret, or why it is too weak.
///
/// # Errors
/// Where it cannot be read.
fn webhook_secret(
    values: &Values,
    name: &'static str,
) -> Result<Result<Option<WebhookSecret>, VariableError>, VariableError> {
    let Some(text) = values.text(name) else { return Ok(Ok(None)) };
    let problem = || "must be base64 after whsec_, or any other text".into();
    let secret = WebhookSecret::parse(text).ok_or_else(|| VariableError { name, problem: problem() })?;
    Ok(secret::check(name, text, secret.as_bytes().len(), WEBHOOK_SECRET_MIN_BYTES).map(|()| Some(secret)))
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
            let Ok((None, notices)) = parsed else { unreachable!("{origin} is another origin") };
            let [Notice::Warning(warning)] = &notices[..] else { unreachable!("{notices:?}") };
            assert!(warning.contains(URL.0) && warning.contains(ORIGIN.0));
        }
        assert!(WebhookSettings::parse(&values(&[URL, ORIGIN])).is_ok_and(|(settings, _)| settings.is_some()));
    }

    const SECRET: &str = "moc_finalize_webhook_secret";
    const PREVIOUS: &str = "moc_finalize_webhook_secret_previous";

    fn signed(secrets: &[(&'static str, &str)]) -> Result<(usize, Vec<Notice>), VariableError> {
        let (settings, notices) = WebhookSettings::parse(&values(&[&[URL, ORIGIN], secrets].concat()))?;
        Ok((settings.map_or(0, |settings| settings.secrets.len()), notices))
    }

    #[test]
    fn a_secret_that_signs_nothing_is_an_error() {
        for secret in ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz", "any other text of 24 bytes"] {
            assert_eq!(signed(&[(SECRET, secret)]), Ok((1, Vec::new())), "{secret}");
        }
        for name in [SECRET, PREVIOUS] {
            let error = signed(&[(name, "whsec_a%")]).unwrap_err().to_string();
            assert!(error.contains(&format!("the variable {name} ")) && !error.contains("a%"), "{error}");
        }
    }

    #[test]
    fn webhooks_without_a_strong_secret_are_not_signed_and_one_line_says_so() {
        let unsigned = |secret: &str| match signed(&[(SECRET, secret)]) {
            Ok((0, notices)) if notices.len() == 1 => notices.into_iter().next().unwrap(),
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

    #[test]
    fn the_previous_secret_signs_next_to_the_current_one_alone() {
        const NEW: &str = "another text of 24 bytes or more";
        const OLD: &str = "any other text of 24 bytes";
        let parsed = WebhookSettings::parse(&values(&[URL, ORIGIN, (SECRET, NEW), (PREVIOUS, OLD)]));
        let Ok((Some(WebhookSettings { secrets, .. }), notices)) = parsed else { unreachable!("two secrets") };
        assert_eq!(secrets.iter().map(WebhookSecret::as_bytes).collect::<Vec<_>>(), [NEW.as_bytes(), OLD.as_bytes()]);
        assert_eq!(notices, Vec::new());

        let Ok((1, notices)) = signed(&[(SECRET, NEW), (PREVIOUS, "too short")]) else { unreachable!("a weak one") };
        assert!(matches!(&notices[..], [Notice::Error(text)] if text.contains(PREVIOUS) && !text.contains("short")));
        for current in ["", "too short"] {
            let Ok((0, notices)) = signed(&[(SECRET, current), (PREVIOUS, OLD)]) else { unreachable!("{current}") };
            let named = |notice: &Notice| matches!(notice, Notice::Warning(text) if text.contains(PREVIOUS));
            assert!(notices.iter().any(named), "{notices:?}");
        }
    }
}
