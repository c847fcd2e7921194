//! The URLs at which clients read objects.

use moc_domain::limits::{DOWNLOAD_URL_TTL_DEFAULT_MINUTES, PRESIGNED_URL_TTL_MAX_MINUTES};

use crate::{PublicAddress, Values, VariableError};

/// Where clients read objects.
#[derive(Clone, Debug)]
pub struct DownloadSettings {
    /// Of objects that anybody may read.
    pub address: PublicAddress,
    /// Whether the URLs of published objects are presigned too.
    pub is_signed: bool,
    /// Life of presigned ones.
    pub ttl_seconds: u64,
}

impl DownloadSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "public_base_url",
        "s3_endpoint",
        "s3_public_endpoint",
        "s3_path",
        "s3_bucket",
        "s3_addressing_style",
        "download_urls",
        "download_url_ttl_minutes",
    ];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        let ttl_minutes = values.number(
            "download_url_ttl_minutes",
            1..=PRESIGNED_URL_TTL_MAX_MINUTES,
            DOWNLOAD_URL_TTL_DEFAULT_MINUTES,
        )?;
        Ok(Self {
            address: PublicAddress::parse(values)?,
            is_signed: is_signed(values)?,
            ttl_seconds: 60 * ttl_minutes,
        })
    }

    /// What to warn of.
    #[must_use]
    pub fn warning(values: &Values) -> Option<String> {
        let is_ignored = is_signed(values).unwrap_or_default() && values.text("public_base_url").is_some();
        is_ignored.then(|| {
            "download_urls is signed, so public_base_url is ignored: set s3_public_endpoint where clients reach the \
             bucket under another origin"
                .into()
        })
    }
}

/// Whether `download_urls` says that every URL is presigned.
pub fn is_signed(values: &Values) -> Result<bool, VariableError> {
    let name = "download_urls";
    match values.text(name) {
        None | Some("public") => Ok(false),
        Some("signed") => Ok(true),
        Some(_) => Err(VariableError { name, problem: "must be public or signed".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        let bucket = [("s3_endpoint", "http://s3:9000"), ("s3_bucket", "b")];
        bucket.iter().chain(pairs).map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn published_objects_are_public_unless_it_is_configured() {
        let settings = DownloadSettings::parse(&values(&[])).unwrap();
        assert_eq!((settings.is_signed, settings.ttl_seconds), (false, 3_600));
        let signed = values(&[("download_urls", "signed"), ("download_url_ttl_minutes", "10080")]);
        let settings = DownloadSettings::parse(&signed).unwrap();
        assert_eq!((settings.is_signed, settings.ttl_seconds), (true, 604_800));
    }

    #[test]
    fn what_is_neither_or_outlives_a_signature_is_an_error() {
        for (name, value) in
            [("download_urls", "private"), ("download_url_ttl_minutes", "0"), ("download_url_ttl_minutes", "10081")]
        {
            let error = DownloadSettings::parse(&values(&[(name, value)])).unwrap_err().to_string();
            assert!(error.starts_with(&format!("the variable {name} must be ")), "{error}");
        }
    }

    #[test]
    fn a_base_that_no_signature_fits_is_warned_of() {
        let base = ("public_base_url", "https://cdn.example");
        assert_eq!(DownloadSettings::warning(&values(&[base])), None);
        let warning = DownloadSettings::warning(&values(&[base, ("download_urls", "signed")])).unwrap();
        assert!(warning.contains("public_base_url is ignored"), "{warning}");
    }
}
