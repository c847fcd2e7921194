//! The variables that configure the product: their names, their defaults, their bounds.
//!
//! A variable that is absent or empty has its default. One that cannot be read is an error that
//! names it; nothing is guessed.

mod auth;
mod bucket;
mod cors;
mod database;
mod download;
mod finalize;
mod host;
mod notice;
mod object;
mod page;
mod secret;
mod sweep;
mod traces;
mod webhook_secret;
mod websocket;

use std::fmt;
use std::ops::RangeInclusive;

use moc_contract::direct::UploadMode;
use moc_domain::file::FileLimits;
use moc_domain::limits as bounds;
use moc_domain::quota::{FileQuotas, SessionQuotas};
use url::Url;

pub use auth::{AuthSettings, TokenKey, TokenRules};
pub use bucket::{AddressingStyle, BucketSettings, PartChecksum, PublicAddress};
pub use cors::{CorsSettings, is_origin_of};
pub use database::DatabaseSettings;
pub use download::DownloadSettings;
pub use finalize::{FinalizeSettings, WebhookSettings};
pub use host::HostLimits;
pub use notice::Notice;
pub use object::{Encryption, ObjectSettings};
pub use page::PageSettings;
pub use sweep::SweepSettings;
pub use traces::{CollectorHeaders, CollectorSettings, TraceSettings};
pub use webhook_secret::WebhookSecret;
pub use websocket::{
    BroadcasterSettings, EventStreamSettings, ProgressSettings, WATCH_AUDIENCE, WatchKeys, WatchSettings,
};

/// The values of some variables, by their names.
#[derive(Clone, Debug, Default)]
pub struct Values(Vec<(&'static str, String)>);

/// A variable that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariableError {
    name: &'static str,
    problem: String,
}

impl fmt::Display for VariableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the variable {} {}", self.name, self.problem)
    }
}

impl std::error::Error for VariableError {}

impl FromIterator<(&'static str, String)> for Values {
    fn from_iter<T: IntoIterator<Item = (&'static str, String)>>(values: T) -> Self {
        Self(values.into_iter().collect())
    }
}

impl Values {
    /// Whether none of them has a value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, value)| value.trim().is_empty())
    }

    fn text(&self, name: &'static str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(given, _)| *given == name)?;
        Some(value.trim()).filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<&str, VariableError> {
        self.text(name).ok_or_else(|| VariableError { name, problem: "is not set".into() })
    }

    fn flag(&self, name: &'static str) -> Result<bool, VariableError> {
        match self.text(name) {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(VariableError { name, problem: "must be true or false".into() }),
        }
    }

    fn number(&self, name: &'static str, range: RangeInclusive<u64>, default: u64) -> Result<u64, VariableError> {
        let Some(text) = self.text(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| VariableError {
            name,
            problem: format!("must be an integer from {} to {}", range.start(), range.end()),
        })
    }

    fn url(&self, name: &'static str, schemes: &[&str]) -> Result<Option<Url>, VariableError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let plain = |url: &Url| url.username().is_empty() && url.password().is_none();
        let url = Url::parse(text).ok().filter(|url| schemes.contains(&url.scheme()) && plain(url));
        let problem = || format!("must be a URL with {} and without a user", schemes.join(" or "));
        url.map(Some).ok_or_else(|| VariableError { name, problem: problem() })
    }

    fn origin(&self, name: &'static str) -> Result<Option<Url>, VariableError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let is_bare = |url: &Url| url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let origin = url.filter(|url| is_bare(url) && url.username().is_empty() && url.password().is_none());
        let problem = || "must be an origin, for example https://example.com".into();
        origin.map(Some).ok_or_else(|| VariableError { name, problem: problem() })
    }
}

/// What is needed of the variables to take uploads.
#[derive(Clone, Debug)]
pub struct UploadSettings {
    /// Sizes and numbers of files.
    pub files: FileLimits,
    pub part_size_bytes: u64,
    /// Longest life of a session.
    pub session_lifetime_max_ms: i64,
    pub session_quotas: SessionQuotas,
    pub file_quotas: FileQuotas,
    /// The way of sending parts that responses name to clients.
    pub mode: UploadMode,
    /// Life of presigned URLs that clients get.
    pub presigned_url_ttl_seconds: u64,
    /// Longest time that one part may take.
    pub part_timeout_seconds: u64,
    /// Longest time that a JSON body may take, in milliseconds.
    pub request_timeout_ms: u64,
    /// Longest time that the bucket may take to complete a file, in milliseconds.
    pub completion_timeout_ms: i64,
    /// Files that finalize validates at once.
    pub finalize_concurrency: usize,
}

impl UploadSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "multipart_part_size_mb",
        "instruction_max_mb",
        "parts_list_max_mb",
        "image_max_mb",
        "max_files_per_session",
        "max_session_lifetime_hours",
        "rate_limit_sessions_per_hour",
        "rate_limit_bypass",
        "max_open_sessions",
        "max_open_uploads",
        "max_registered_mb_per_day",
        "max_session_mb",
        "auth_bypass",
        "upload_mode",
        "presigned_url_ttl_minutes",
        "part_timeout_seconds",
        "request_timeout_seconds",
        "completion_timeout_minutes",
        "finalize_concurrency",
    ];

    /// Reads the variables. A component that is not granted one of them leaves it out, and gets
    /// its default: the component does not use it.
    ///
    /// # Errors
    /// The first variable that cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let file_max = 1..=bounds::FILE_MAX_MIB;
        let session_bytes = quota_bytes(values, "max_session_mb")?;
        let sessions_per_hour = values.number("rate_limit_sessions_per_hour", 0..=1_000_000, 0)?;
        let limited = !values.flag("rate_limit_bypass")? && sessions_per_hour > 0;
        let open_sessions =
            values.number("max_open_sessions", 0..=bounds::OPEN_SESSIONS_MAX, bounds::OPEN_SESSIONS_DEFAULT)?;
        // Without authentication everybody is one user.
        let limits_open = open_sessions > 0 && !values.flag("auth_bypass")?;
        let open_uploads = values.number("max_open_uploads", 0..=bounds::OPEN_UPLOADS_MAX, 0)?;
        let lifetime_hours = values.number(
            "max_session_lifetime_hours",
            1..=bounds::SESSION_LIFETIME_MAX_HOURS,
            bounds::SESSION_LIFETIME_MAX_DEFAULT_HOURS,
        )?;
        let completion_timeout_minutes = values.number(
            "completion_timeout_minutes",
            1..=bounds::COMPLETION_TIMEOUT_MAX_MINUTES,
            bounds::COMPLETION_TIMEOUT_DEFAULT_MINUTES,
        )?;
        let finalize_concurrency = values.number(
            "finalize_concurrency",
            1..=bounds::FINALIZE_CONCURRENCY_MAX,
            bounds::FINALIZE_CONCURRENCY_DEFAULT,
        )?;
        Ok(Self {
            files: FileLimits {
                instruction_max_mib: values.number(
                    "instruction_max_mb",
                    file_max.clone(),
                    bounds::INSTRUCTION_MAX_DEFAULT_MIB,
                )?,
                parts_list_max_mib: values.number(
                    "parts_list_max_mb",
                    file_max.clone(),
                    bounds::PARTS_LIST_MAX_DEFAULT_MIB,
                )?,
                image_max_mib: values.number("image_max_mb", file_max, bounds::IMAGE_MAX_DEFAULT_MIB)?,
                files_max: values.number(
                    "max_files_per_session",
                    1..=bounds::FILES_PER_SESSION_MAX,
                    bounds::FILES_PER_SESSION_DEFAULT,
                )?,
            },
            part_size_bytes: bounds::MIB
                * values.number(
                    "multipart_part_size_mb",
                    bounds::PART_SIZE_MIN_MIB..=bounds::PART_SIZE_MAX_MIB,
                    bounds::PART_SIZE_DEFAULT_MIB,
                )?,
            session_lifetime_max_ms: i64::try_from(lifetime_hours * 3_600_000).unwrap_or(i64::MAX),
            session_quotas: SessionQuotas {
                per_hour: limited.then_some(sessions_per_hour),
                open: limits_open.then_some(open_sessions),
                bytes: session_bytes,
            },
            file_quotas: FileQuotas {
                open_uploads: (open_uploads > 0).then_some(open_uploads),
                session_bytes,
                day_bytes: quota_bytes(values, "max_registered_mb_per_day")?,
            },
            mode: upload_mode(values)?,
            presigned_url_ttl_seconds: 60
                * values.number(
                    "presigned_url_ttl_minutes",
                    1..=bounds::PRESIGNED_URL_TTL_MAX_MINUTES,
                    bounds::PRESIGNED_URL_TTL_DEFAULT_MINUTES,
                )?,
            part_timeout_seconds: values.number(
                "part_timeout_seconds",
                1..=bounds::PART_TIMEOUT_MAX_SECONDS,
                bounds::PART_TIMEOUT_DEFAULT_SECONDS,
            )?,
            request_timeout_ms: 1_000
                * values.number(
                    "request_timeout_seconds",
                    1..=bounds::REQUEST_TIMEOUT_MAX_SECONDS,
                    bounds::REQUEST_TIMEOUT_DEFAULT_SECONDS,
                )?,
            completion_timeout_ms: i64::try_from(completion_timeout_minutes * 60_000).unwrap_or(i64::MAX),
            finalize_concurrency: usize::try_from(finalize_concurrency).unwrap_or(1),
        })
    }
}

/// A quota in MiB; 0 turns it off.
fn quota_bytes(values: &Values, name: &'static str) -> Result<Option<u64>, VariableError> {
    let mib = values.number(name, 0..=bounds::QUOTA_MAX_MIB, 0)?;
    Ok((mib > 0).then_some(mib * bounds::MIB))
}

fn upload_mode(values: &Values) -> Result<UploadMode, VariableError> {
    let name = "upload_mode";
    let Some(text) = values.text(name) else { return Ok(UploadMode::default()) };
    UploadMode::parse(text).ok_or_else(|| VariableError { name, problem: "must be through, direct or both".into() })
}

/// Checks all variables at once, before anything starts. Returns what to warn of: what cannot be read of live progress,
/// webhooks, thumbnails and traces turns these features off, here as in the components.
///
/// # Errors
/// The first other variable that is missing or cannot be read: no request that needs it could succeed.
pub fn check_all(get: impl Fn(&str) -> Option<String>) -> Result<Vec<String>, VariableError> {
    let names = [
        UploadSettings::NAMES,
        HostLimits::NAMES,
        BucketSettings::NAMES,
        DatabaseSettings::NAMES,
        DownloadSettings::NAMES,
        AuthSettings::NAMES,
        CorsSettings::NAMES,
        BroadcasterSettings::NAMES,
        WatchSettings::NAMES,
        EventStreamSettings::NAMES,
        WatchKeys::NAMES,
        FinalizeSettings::NAMES,
        WebhookSettings::NAMES,
        SweepSettings::NAMES,
        TraceSettings::NAMES,
        CollectorSettings::NAMES,
    ];
    let values: Values = names.concat().into_iter().filter_map(|name| Some((name, get(name)?))).collect();
    let upload = UploadSettings::parse(&values)?;
    let host = HostLimits::parse(&values)?;
    let bucket = BucketSettings::parse(&values)?;
    DatabaseSettings::parse(&values)?;
    DownloadSettings::parse(&values)?;
    CorsSettings::parse(&values)?;
    EventStreamSettings::parse(&values)?;
    let mut warnings: Vec<String> = AuthSettings::parse(&values)?.1.into_iter().map(String::from).collect();
    warnings.extend(host.warning(&upload));
    warnings.extend(bucket.check(&upload)?);
    warnings.extend(DownloadSettings::warning(&values));
    let off = |error: VariableError, what: &str| format!("{error}: {what}");
    warnings.extend(match BroadcasterSettings::parse(&values) {
        Ok((_, warning)) => warning,
        Err(error) => Some(off(error, "no events are published")),
    });
    warnings.extend(WatchSettings::parse(&values).1.into_iter().map(String::from));
    warnings.extend(WatchKeys::parse(&values).1.map(String::from));
    warnings.extend(FinalizeSettings::parse(&values).1);
    warnings.extend(SweepSettings::parse(&values)?.1.map(String::from));
    let webhook = match WebhookSettings::parse(&values) {
        Ok((_, notices)) => notices.into_iter().map(String::from).collect(),
        Err(error) => vec![off(error, finalize::NO_WEBHOOKS)],
    };
    // That of the receiver is there already.
    let webhook: Vec<String> = webhook.into_iter().filter(|text| !warnings.contains(text)).collect();
    warnings.extend(webhook);
    let traces = TraceSettings::parse(&values).1;
    // One line about traces suffices: each of them names a variable that turns them off.
    let collector = || Some(off(CollectorSettings::parse(&values).err()?, "no traces are sent"));
    warnings.extend(traces.or_else(collector));
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn absent_and_empty_variables_have_their_defaults() {
        for given in [values(&[]), values(&[("multipart_part_size_mb", " ")])] {
            let settings = UploadSettings::parse(&given);
            assert!(settings.is_ok_and(|s| s.part_size_bytes == 5 << 20
                && s.files.instruction_max_mib == 50
                && s.session_quotas == SessionQuotas { open: Some(100), ..SessionQuotas::default() }
                && s.file_quotas.is_off()
                && s.presigned_url_ttl_seconds == 900
                && s.mode == UploadMode::Through
                && s.session_lifetime_max_ms == 86_400_000));
        }
    }

    #[test]
    fn a_broken_variable_is_named() {
        let message =
            |pairs: &[(&'static str, &str)]| UploadSettings::parse(&values(pairs)).err().map(|error| error.to_string());
        for bad in ["4", "101", "five", "-1", "5.5"] {
            let expected = "the variable multipart_part_size_mb must be an integer from 5 to 100";
            assert_eq!(message(&[("multipart_part_size_mb", bad)]).as_deref(), Some(expected));
        }
        let bypass = [("rate_limit_sessions_per_hour", "5"), ("rate_limit_bypass", "maybe")];
        assert_eq!(message(&bypass).as_deref(), Some("the variable rate_limit_bypass must be true or false"));
        let expected = "the variable upload_mode must be through, direct or both";
        assert_eq!(message(&[("upload_mode", "straight")]).as_deref(), Some(expected));
        let origin = values(&[("s3_endpoint", "https://s3.example.com/bucket")]);
        assert!(BucketSettings::parse(&origin).is_err());
        let missing = values(&[("s3_endpoint", "http://127.0.0.1:9000")]);
        let missing = BucketSettings::parse(&missing).err().map(|error| error.to_string());
        assert_eq!(missing.as_deref(), Some("the variable s3_bucket is not set"));
    }

    #[test]
    fn the_bypass_lifts_the_rate_limit() {
        let limit = |bypass| {
            let given = values(&[("rate_limit_sessions_per_hour", "5"), ("rate_limit_bypass", bypass)]);
            UploadSettings::parse(&given).map(|settings| settings.session_quotas.per_hour)
        };
        assert_eq!(limit("false"), Ok(Some(5)));
        assert_eq!(limit("true"), Ok(None));
    }

    #[test]
    fn quotas_are_in_mebibytes_and_off_at_zero() {
        let parse = |pairs: &[(&'static str, &str)]| UploadSettings::parse(&values(pairs));
        let given = parse(&[
            ("max_open_sessions", "3"),
            ("max_open_uploads", "4"),
            ("max_registered_mb_per_day", "5"),
            ("max_session_mb", "6"),
        ]);
        let given = given.map(|settings| (settings.session_quotas, settings.file_quotas));
        let sessions = SessionQuotas { per_hour: None, open: Some(3), bytes: Some(6 << 20) };
        let files = FileQuotas { open_uploads: Some(4), session_bytes: Some(6 << 20), day_bytes: Some(5 << 20) };
        assert_eq!(given, Ok((sessions, files)));
        let off = parse(&[("max_open_sessions", "0"), ("max_open_uploads", "0"), ("max_session_mb", "0")]);
        assert!(off.is_ok_and(|off| off.session_quotas == SessionQuotas::default() && off.file_quotas.is_off()));
        for (name, range) in [
            ("max_open_sessions", "0 to 10000"),
            ("max_open_uploads", "0 to 100000"),
            ("max_registered_mb_per_day", "0 to 1073741824"),
            ("max_session_mb", "0 to 1073741824"),
        ] {
            let expected = format!("the variable {name} must be an integer from {range}");
            assert_eq!(parse(&[(name, "-1")]).err().map(|error| error.to_string()), Some(expected));
        }
    }

    #[test]
    fn open_sessions_are_not_limited_where_everybody_is_one_user() {
        let open = |bypass| {
            let given = values(&[("max_open_sessions", "3"), ("auth_bypass", bypass)]);
            UploadSettings::parse(&given).map(|settings| settings.session_quotas.open)
        };
        assert_eq!((open("false"), open("true")), (Ok(Some(3)), Ok(None)));
    }
}
