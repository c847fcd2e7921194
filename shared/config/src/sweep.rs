//! The variables of sweeps.

use moc_domain::limits::{SESSION_RETENTION_DEFAULT_DAYS, SESSION_RETENTION_MAX_DAYS};

use crate::{Notice, Values, VariableError};

/// How sweeps are done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepSettings {
    /// How long the rows of finalized sessions are kept, in milliseconds; `None` for ever.
    pub retention_ms: Option<i64>,
    /// The token that the public route needs. Without one there is no such route.
    pub secret: Option<String>,
}

impl SweepSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["session_retention_days", "sweep_secret"];

    /// Reads the variables, and what to log of a secret that is too weak: it counts as unset.
    ///
    /// # Errors
    /// Where the retention cannot be read.
    pub fn parse(values: &Values) -> Result<(Self, Option<Notice>), VariableError> {
        let days =
            values.number("session_retention_days", 0..=SESSION_RETENTION_MAX_DAYS, SESSION_RETENTION_DEFAULT_DAYS)?;
        let retention_ms = i64::try_from(days * 24 * 60 * 60 * 1000).ok().filter(|retention_ms| *retention_ms > 0);
        let (secret, notice) = match values.token_secret("sweep_secret") {
            Ok(secret) => (secret.map(str::to_owned), None),
            Err(weak) => (None, Some(Notice::Error(format!("{weak}: nobody can sweep by the public route")))),
        };
        Ok((Self { retention_ms, secret }, notice))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &'static str, value: &str) -> Result<(SweepSettings, Option<Notice>), VariableError> {
        SweepSettings::parse(&[(name, value.to_owned())].into_iter().collect())
    }

    #[test]
    fn finalized_sessions_are_kept_for_thirty_days_or_as_long_as_is_set() {
        let retention = |value| parse("session_retention_days", value).map(|(settings, _)| settings.retention_ms);
        assert_eq!(retention(""), Ok(Some(30 * 86_400_000)));
        assert_eq!(retention("1"), Ok(Some(86_400_000)));
        assert_eq!(retention("0"), Ok(None));
        for bad in ["-1", "3651", "a week"] {
            let expected = "the variable session_retention_days must be an integer from 0 to 3650";
            assert_eq!(retention(bad).unwrap_err().to_string(), expected, "{bad}");
        }
    }

    #[test]
    fn a_weak_secret_opens_no_route() {
        let secret = "0123456789abcdef0123456789abcdef";
        assert!(parse("sweep_secret", secret).is_ok_and(|(it, notice)| it.secret.is_some() && notice.is_none()));
        assert!(parse("sweep_secret", "").is_ok_and(|(it, notice)| it.secret.is_none() && notice.is_none()));
        let Ok((settings, Some(Notice::Error(text)))) = parse("sweep_secret", "secret") else { panic!("an error") };
        assert!(settings.secret.is_none() && text.contains("sweep_secret"), "{text}");
    }
}
