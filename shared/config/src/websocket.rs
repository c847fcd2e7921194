//! The variables of live progress.
//!
//! Progress is advisory: what is missing or does not fit turns it off and never stops an upload.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moc_domain::limits as bounds;
use url::Url;

use crate::secret::check;
use crate::{Notice, Values, VariableError};
use moc_contract::broadcast::Format;

/// Whether routes emit events, and how long a request may wait for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressSettings {
    /// Where events are published, if there is a broadcaster. Routes know the address only to see
    /// that there is one, and to distinguish it from another: they are granted neither its host nor its key.
    pub api_url: Option<String>,
    /// Longest time that the events of a request may take.
    pub timeout_ms: u64,
}

impl ProgressSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["websocket_api_url", "websocket_emit_timeout_ms"];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        Ok(Self { api_url: values.text("websocket_api_url").map(str::to_owned), timeout_ms: timeout_ms(values)? })
    }
}

fn timeout_ms(values: &Values) -> Result<u64, VariableError> {
    let range = 1..=bounds::EMIT_TIMEOUT_MAX_MS;
    values.number("websocket_emit_timeout_ms", range, bounds::EMIT_TIMEOUT_DEFAULT_MS)
}

/// The broadcaster, as the relay knows it.
#[derive(Clone, Debug)]
pub struct BroadcasterSettings {
    /// Where events are published.
    pub url: Url,
    /// What proves that they are ours, if the broadcaster wants to know.
    pub key: Option<String>,
    /// How it takes them.
    pub format: Format,
    /// Longest time that one request to it may take.
    pub timeout_ms: u64,
}

impl BroadcasterSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "websocket_api_url",
        "websocket_api_origin",
        "websocket_api_key",
        "websocket_broadcast_format",
        "websocket_emit_timeout_ms",
    ];

    /// Reads the variables, and what to warn of. `None` if there is no broadcaster, or where its
    /// address lies outside the origin that the relay is granted.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<(Option<Self>, Option<String>), VariableError> {
        let timeout_ms = timeout_ms(values)?;
        let name = "websocket_broadcast_format";
        let format = Format::parse(values.text(name).unwrap_or("json"));
        let problem = || "must be json, json-batch, nchan, pushpin or centrifugo".into();
        let format = format.ok_or_else(|| VariableError { name, problem: problem() })?;
        let granted = values.origin("websocket_api_origin")?;
        let Some(url) = values.url("websocket_api_url", &["http", "https"])? else { return Ok((None, None)) };
        if granted.is_none_or(|origin| origin.origin() != url.origin()) {
            let warning = "websocket_api_url has a different origin than websocket_api_origin and is ignored: \
                           set both to one origin";
            return Ok((None, Some(warning.into())));
        }
        let key = values.text("websocket_api_key").map(str::to_owned);
        Ok((Some(Self { url, key, format, timeout_ms }), None))
    }
}

/// Streams of a session's states, as server-sent events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventStreamSettings {
    /// How long one lasts, until its client connects again.
    pub max_seconds: u64,
}

impl EventStreamSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["events_max_seconds"];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let range = 1..=bounds::EVENTS_MAX_SECONDS;
        let max_seconds = values.number("events_max_seconds", range, bounds::EVENTS_DEFAULT_SECONDS)?;
        Ok(Self { max_seconds })
    }
}

/// The audience of tokens for watching. It tells them from users' tokens, whatever secrets are configured.
pub const WATCH_AUDIENCE: &str = "moc-uploads-progress";

/// Where clients watch an upload, and how they prove that they may.
#[derive(Clone, Debug, Default)]
pub struct WatchSettings {
    /// What `/session/{sessionId}` is appended to for `wsUrl`. `None` if clients get none.
    pub server: Option<String>,
    /// What their tokens are signed with. `None` if that is the secret in the database.
    pub secret: Option<String>,
    /// Whether a token names the channel of its session, as Centrifugo needs it.
    pub names_channels: bool,
}

impl WatchSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "websocket_server_url",
        "websocket_token_secret",
        "websocket_token_secret_previous",
        "websocket_broadcast_format",
    ];

    /// Reads the variables, and what to log: those that cannot be used count as unset.
    #[must_use]
    pub fn parse(values: &Values) -> (Self, Vec<Notice>) {
        let mut notices = Vec::new();
        let server = server_url(values).unwrap_or_else(|error| {
            notices.push(Notice::Warning(format!("{error}: clients get no wsUrl")));
            None
        });
        let current = "websocket_token_secret";
        let secret = values.token_secret(current).unwrap_or_else(|weak| {
            notices.push(match server {
                Some(_) => Notice::Error(format!("{weak}: clients get no wsUrl")),
                None => Notice::Error(format!("{weak}: the one in the database is used")),
            });
            None
        });
        if server.is_some() && secret.is_none() && notices.is_empty() {
            let warning = "websocket_server_url is set without websocket_token_secret: clients get no wsUrl";
            notices.push(Notice::Warning(warning.into()));
        }
        let (_, previous) = values.previous_token_secret("websocket_token_secret_previous", current, secret.is_some());
        notices.extend(previous);
        let secret = secret.map(str::to_owned);
        // A broadcaster knows no secret but the configured one.
        let server = server.filter(|_| secret.is_some());
        // Whoever publishes warns of a format that does not exist.
        let format = values.text("websocket_broadcast_format").and_then(Format::parse);
        let names_channels = server.is_some() && format == Some(Format::Centrifugo);
        (Self { server, secret, names_channels }, notices)
    }
}

fn server_url(values: &Values) -> Result<Option<String>, VariableError> {
    let name = "websocket_server_url";
    let Some(url) = values.url(name, &["ws", "wss"])? else { return Ok(None) };
    if url.query().is_some() || url.fragment().is_some() {
        return Err(VariableError { name, problem: "must not have a query or a fragment".into() });
    }
    Ok(Some(url.as_str().trim_end_matches('/').to_owned()))
}

/// What those who want to watch prove themselves with.
#[derive(Clone)]
pub struct WatchKeys {
    /// Each of them signs tokens for watching.
    pub secrets: Vec<String>,
    /// What a GRIP proxy signs its requests with, if there is one.
    pub grip_key: Option<Vec<u8>>,
}

impl WatchKeys {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["websocket_token_secret", "websocket_token_secret_previous", "pushpin_grip_key"];

    /// Reads the variables, and what to log. [`WatchSettings`] logs what is wrong with the secrets.
    #[must_use]
    pub fn parse(values: &Values) -> (Self, Option<Notice>) {
        let current = "websocket_token_secret";
        let secret = values.token_secret(current).ok().flatten();
        let (previous, _) = values.previous_token_secret("websocket_token_secret_previous", current, secret.is_some());
        let secrets = [secret, previous].into_iter().flatten().map(str::to_owned).collect();
        let (grip_key, notice) = match grip_key(values) {
            Ok(key) => (key, None),
            Err(weak) => (None, Some(Notice::Error(format!("{weak}: no WebSocket is accepted over HTTP")))),
        };
        (Self { secrets, grip_key }, notice)
    }
}

/// A key in the form of Pushpin's `sig_key`: base64 after `base64:`, or any other text as its bytes.
fn grip_key(values: &Values) -> Result<Option<Vec<u8>>, VariableError> {
    let name = "pushpin_grip_key";
    let Some(text) = values.text(name) else { return Ok(None) };
    let key = match text.strip_prefix("base64:") {
        Some(encoded) => BASE64_STANDARD.decode(encoded).ok(),
        None => Some(text.as_bytes().to_vec()),
    };
    let key = key.ok_or_else(|| VariableError { name, problem: "is malformed base64 and counts as unset".into() })?;
    check(name, text, key.len(), bounds::TOKEN_SECRET_MIN_BYTES).map(|()| Some(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    const BROADCASTER: [(&str, &str); 3] = [
        ("websocket_api_url", "http://b.example:8000/api/publish"),
        ("websocket_api_origin", "http://b.example:8000"),
        ("websocket_api_key", "key"),
    ];

    #[test]
    fn a_broadcaster_needs_address_and_origin() {
        let whole = BroadcasterSettings::parse(&values(&BROADCASTER));
        assert!(whole.is_ok_and(|(settings, warning)| warning.is_none()
            && settings.is_some_and(|s| s.format == Format::Json && s.timeout_ms == 500)));
        let without_key = BroadcasterSettings::parse(&values(&BROADCASTER[..2]));
        assert!(without_key.is_ok_and(
            |(settings, warning)| warning.is_none() && settings.is_some_and(|settings| settings.key.is_none())
        ));
        for (left_out, warned) in [(0, false), (1, true)] {
            let mut pairs = BROADCASTER.to_vec();
            pairs.remove(left_out);
            let parsed = BroadcasterSettings::parse(&values(&pairs));
            assert!(parsed.is_ok_and(|(settings, warning)| settings.is_none() && warning.is_some() == warned));
        }
    }

    #[test]
    fn an_address_outside_its_origin_is_warned_of_by_both_names() {
        for origin in ["https://b.example:8000", "http://b.example", "http://c.example:8000"] {
            let pairs = [BROADCASTER[0], ("websocket_api_origin", origin), BROADCASTER[2]];
            let Ok((None, Some(warning))) = BroadcasterSettings::parse(&values(&pairs)) else {
                unreachable!("{origin} is another origin")
            };
            assert!(warning.contains("websocket_api_url") && warning.contains("websocket_api_origin"));
        }
    }

    #[test]
    fn broken_variables_are_named() {
        for (name, value) in [
            ("websocket_api_url", "b.example"),
            ("websocket_api_url", "ws://b.example"),
            ("websocket_broadcast_format", "xml"),
            ("websocket_emit_timeout_ms", "0"),
            ("websocket_emit_timeout_ms", "soon"),
        ] {
            let error = BroadcasterSettings::parse(&values(&[(name, value)])).map(|_| ()).map_err(|e| e.to_string());
            assert!(error.is_err_and(|error| error.contains(name)), "{name}={value}");
        }
        for url in ["http://b.example", "wss://b.example/live?zone=a", "wss://b.example/#live"] {
            let (settings, notices) = WatchSettings::parse(&values(&[("websocket_server_url", url)]));
            let [Notice::Warning(text)] = &notices[..] else { unreachable!("{notices:?}") };
            assert!(settings.server.is_none() && text.contains("websocket_server_url"), "{text}");
        }
    }

    const NEW: &str = "a-secret-for-tokens-to-watch-with";
    const OLD: &str = "another-secret-for-tokens-to-watch-with";
    const SERVER: (&str, &str) = ("websocket_server_url", "wss://b.example/live/");

    #[test]
    fn clients_watch_where_address_and_secret_are_set() {
        let watch = |secret| WatchSettings::parse(&values(&[SERVER, ("websocket_token_secret", secret)]));
        let (settings, notices) = watch(NEW);
        assert_eq!((settings.server.as_deref(), settings.secret.as_deref()), (Some("wss://b.example/live"), Some(NEW)));
        assert!(notices.is_empty(), "{notices:?}");
        let (settings, notices) = watch("");
        assert!(settings.server.is_none() && matches!(notices[..], [Notice::Warning(_)]), "{notices:?}");
        for weak in ["local-secret", "CHANGE-ME, although it has more than 32 bytes"] {
            let (settings, notices) = watch(weak);
            let [Notice::Error(text)] = &notices[..] else { unreachable!("{notices:?}") };
            assert!(text.contains("websocket_token_secret") && !text.contains(weak), "{text}");
            assert!(text.ends_with("clients get no wsUrl") && settings.server.is_none() && settings.secret.is_none());
        }
    }

    #[test]
    fn tokens_name_a_channel_for_centrifugo_alone() {
        for (format, expected) in [("", false), ("json", false), ("xml", false), ("centrifugo", true)] {
            let pairs = [SERVER, ("websocket_token_secret", NEW), ("websocket_broadcast_format", format)];
            assert_eq!(WatchSettings::parse(&values(&pairs)).0.names_channels, expected, "{format}");
            assert!(!WatchSettings::parse(&values(&pairs[1..])).0.names_channels, "{format}");
        }
    }

    #[test]
    fn tokens_of_both_secrets_are_accepted_and_weak_ones_count_as_unset() {
        let secrets = |current, previous| {
            let pairs = [("websocket_token_secret", current), ("websocket_token_secret_previous", previous)];
            WatchKeys::parse(&values(&pairs)).0.secrets
        };
        assert_eq!(secrets(NEW, OLD), [NEW, OLD]);
        assert_eq!(secrets(NEW, "weak"), [NEW]);
        assert!(secrets("weak", OLD).is_empty() && secrets("", OLD).is_empty());
    }

    #[test]
    fn the_key_of_a_grip_proxy_is_in_the_form_of_pushpin() {
        let parse = |key| {
            let (keys, notice) = WatchKeys::parse(&values(&[("pushpin_grip_key", key)]));
            (keys.grip_key, notice.map(String::from))
        };
        assert_eq!(parse(""), (None, None));
        let text = "a-key-for-pushpin-of-32-bytes-or-more";
        assert_eq!(parse(text), (Some(text.as_bytes().to_vec()), None));
        let bytes = "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        assert_eq!(parse(bytes), (Some((0..32).collect()), None));
        for weak in ["short", "changeme", "base64:AAEC", "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8%"] {
            let (key, notice) = parse(weak);
            assert_eq!(key, None, "{weak}");
            assert!(notice.is_some_and(|text| text.contains("pushpin_grip_key") && !text.contains("AAEC")), "{weak}");
        }
    }

    #[test]
    fn the_secret_needs_no_address() {
        let (settings, notices) = WatchSettings::parse(&values(&[]));
        assert!(settings.server.is_none() && settings.secret.is_none() && notices.is_empty(), "{notices:?}");
        let (settings, notices) = WatchSettings::parse(&values(&[("websocket_token_secret", NEW)]));
        assert!(settings.server.is_none() && settings.secret.as_deref() == Some(NEW) && notices.is_empty());
        let (settings, notices) = WatchSettings::parse(&values(&[("websocket_token_secret", "weak")]));
        assert!(settings.secret.is_none());
        assert!(matches!(&notices[..], [Notice::Error(text)] if text.ends_with("the one in the database is used")));
    }

    #[test]
    fn the_previous_secret_signs_nothing() {
        let previous = "websocket_token_secret_previous";
        let parse = |secrets: &[(&'static str, &str)]| WatchSettings::parse(&values(&[&[SERVER], secrets].concat()));
        let (settings, notices) = parse(&[("websocket_token_secret", NEW), (previous, OLD)]);
        assert_eq!(settings.secret.as_deref(), Some(NEW));
        assert!(notices.is_empty(), "{notices:?}");
        let (settings, notices) = parse(&[("websocket_token_secret", NEW), (previous, "weak")]);
        assert!(settings.server.is_some());
        assert!(matches!(&notices[..], [Notice::Error(text)] if text.contains(previous)), "{notices:?}");
        let (settings, notices) = parse(&[(previous, OLD)]);
        assert!(settings.server.is_none() && settings.secret.is_none());
        assert!(matches!(&notices[..], [_, Notice::Warning(text)] if text.contains(previous)), "{notices:?}");
    }
}
