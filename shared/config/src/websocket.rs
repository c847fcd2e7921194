//! The variables of live progress.
//!
//! Progress is advisory: what is missing or does not fit turns it off and never stops an upload.

use moc_domain::limits as bounds;
use url::Url;

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
    /// What proves that they are ours.
    pub key: String,
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
        let problem = || "must be json, nchan, pushpin or centrifugo".into();
        let format = format.ok_or_else(|| VariableError { name, problem: problem() })?;
        let granted = values.origin("websocket_api_origin")?;
        let Some(url) = values.url("websocket_api_url", &["http", "https"])? else { return Ok((None, None)) };
        if granted.is_none_or(|origin| origin.origin() != url.origin()) {
            let warning = "websocket_api_url has a different origin than websocket_api_origin and is ignored: \
                           set both to one origin";
            return Ok((None, Some(warning.into())));
        }
        let Some(key) = values.text("websocket_api_key") else { return Ok((None, None)) };
        Ok((Some(Self { url, key: key.to_owned(), format, timeout_ms }), None))
    }
}

/// The audience of tokens for watching. It tells them from users' tokens, whatever secrets are configured.
pub const WATCH_AUDIENCE: &str = "moc-uploads-progress";

/// Where clients watch an upload, and how they prove that they may.
#[derive(Clone, Debug)]
pub struct WatchSettings {
    /// What `/session/{sessionId}` is appended to.
    pub server: String,
    /// What their tokens are signed with.
    pub secret: String,
}

impl WatchSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["websocket_server_url", "websocket_token_secret", "websocket_token_secret_previous"];

    /// Reads the variables, and what to log. `None` if clients cannot watch. The previous secret signs nothing: it is
    /// for the broadcaster, and only checked here.
    ///
    /// # Errors
    /// Where the address cannot be read.
    pub fn parse(values: &Values) -> Result<(Option<Self>, Vec<Notice>), VariableError> {
        let name = "websocket_server_url";
        let Some(url) = values.url(name, &["ws", "wss"])? else { return Ok((None, Vec::new())) };
        if url.query().is_some() || url.fragment().is_some() {
            return Err(VariableError { name, problem: "must not have a query or a fragment".into() });
        }
        let current = "websocket_token_secret";
        let (secret, notice) = match values.token_secret(current) {
            Ok(Some(secret)) => (Some(secret.to_owned()), None),
            Ok(None) => {
                let warning = "websocket_server_url is set without websocket_token_secret: clients get no wsUrl";
                (None, Some(Notice::Warning(warning.into())))
            }
            Err(weak) => (None, Some(Notice::Error(format!("{weak}: clients get no wsUrl")))),
        };
        let (_, previous) = values.previous_token_secret("websocket_token_secret_previous", current, secret.is_some());
        let server = url.as_str().trim_end_matches('/').to_owned();
        Ok((secret.map(|secret| Self { server, secret }), notice.into_iter().chain(previous).collect()))
    }
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
    fn a_broadcaster_needs_address_origin_and_key() {
        let whole = BroadcasterSettings::parse(&values(&BROADCASTER));
        assert!(whole.is_ok_and(|(settings, warning)| warning.is_none()
            && settings.is_some_and(|s| s.format == Format::Json && s.timeout_ms == 500)));
        for (left_out, warned) in [(0, false), (1, true), (2, false)] {
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
            let error = WatchSettings::parse(&values(&[("websocket_server_url", url)]));
            assert!(error.is_err_and(|error| error.to_string().contains("websocket_server_url")), "{url}");
        }
    }

    #[test]
    fn clients_watch_where_address_and_secret_are_set() {
        let server = ("websocket_server_url", "wss://b.example/live/");
        let watch = |secret| WatchSettings::parse(&values(&[server, ("websocket_token_secret", secret)]));
        let parsed = watch("a-secret-for-tokens-to-watch-with");
        assert!(parsed.is_ok_and(|(settings, notice)| {
            notice.is_empty() && settings.is_some_and(|settings| settings.server == "wss://b.example/live")
        }));
        assert!(matches!(watch(""), Ok((None, notices)) if matches!(notices[..], [Notice::Warning(_)])));
        for weak in ["local-secret", "CHANGE-ME, although it has more than 32 bytes"] {
            let Ok((None, notices)) = watch(weak) else { unreachable!("{weak}") };
            let [Notice::Error(text)] = &notices[..] else { unreachable!("{notices:?}") };
            assert!(text.contains("websocket_token_secret") && !text.contains(weak), "{text}");
        }
        assert!(
            WatchSettings::parse(&values(&[]))
                .is_ok_and(|(settings, notices)| { settings.is_none() && notices.is_empty() })
        );
    }

    #[test]
    fn the_previous_secret_signs_nothing() {
        const NEW: &str = "a-secret-for-tokens-to-watch-with";
        const OLD: &str = "another-secret-for-tokens-to-watch-with";
        let previous = "websocket_token_secret_previous";
        let parse = |secrets: &[(&'static str, &str)]| {
            WatchSettings::parse(&values(&[&[("websocket_server_url", "wss://b.example")], secrets].concat()))
        };
        let Ok((Some(settings), notices)) = parse(&[("websocket_token_secret", NEW), (previous, OLD)]) else {
            unreachable!("two secrets")
        };
        assert_eq!((settings.secret.as_str(), notices.len()), (NEW, 0));
        let weak = parse(&[("websocket_token_secret", NEW), (previous, "weak")]);
        assert!(matches!(weak, Ok((Some(_), notices))
            if matches!(&notices[..], [Notice::Error(text)] if text.contains(previous))));
        let Ok((None, notices)) = parse(&[(previous, OLD)]) else { unreachable!("no current secret") };
        assert!(matches!(&notices[..], [_, Notice::Warning(text)] if text.contains(previous)), "{notices:?}");
    }
}
