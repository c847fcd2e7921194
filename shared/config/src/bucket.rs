//! The bucket that holds the files.

use percent_encoding::{CONTROLS, utf8_percent_encode};
use url::Url;

use crate::{Values, VariableError};

/// The S3 endpoint: its origin, which grants the host, with the path below it, without the path's trailing slash.
fn s3_endpoint(values: &Values) -> Result<Url, VariableError> {
    let name = "s3_endpoint";
    let mut endpoint = values.origin(name)?.ok_or_else(|| VariableError { name, problem: "is not set".into() })?;
    let name = "s3_path";
    if let Some(path) = values.text(name) {
        endpoint.set_path(path);
        // Setting it escapes what is not part of a path, and resolves `..`.
        if endpoint.path() != path {
            return Err(VariableError { name, problem: "must be a path, for example /storage/v1/s3".into() });
        }
        endpoint.set_path(path.trim_end_matches('/'));
    }
    Ok(endpoint)
}

/// A name that is a part of URLs and signatures.
fn word<'a>(values: &'a Values, name: &'static str) -> Result<Option<&'a str>, VariableError> {
    let is_plain = |text: &&str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    let problem = || "must have only letters, digits, hyphens, dots and underscores".into();
    let Some(text) = values.text(name) else { return Ok(None) };
    Some(text).filter(is_plain).map(Some).ok_or_else(|| VariableError { name, problem: problem() })
}

fn bucket_name(values: &Values) -> Result<&str, VariableError> {
    let name = "s3_bucket";
    match word(values, name)? {
        Some(bucket) => Ok(bucket),
        None => values.required(name),
    }
}

/// Where the bucket is, and how to sign for it.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// The S3 endpoint, with its path.
    pub endpoint: Url,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket's name; requests are path style.
    pub bucket: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
}

impl BucketSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] =
        &["s3_endpoint", "s3_path", "s3_region", "s3_bucket", "s3_access_key_id", "s3_secret_access_key"];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        Ok(Self {
            endpoint: s3_endpoint(values)?,
            region: word(values, "s3_region")?.unwrap_or("us-east-1").to_owned(),
            bucket: bucket_name(values)?.to_owned(),
            access_key_id: values.required("s3_access_key_id")?.to_owned(),
            secret_access_key: values.required("s3_secret_access_key")?.to_owned(),
        })
    }
}

/// The URL below which clients read objects, if it is not the bucket's own: keys are appended to its path.
pub(crate) fn public_base_url(values: &Values) -> Result<Option<Url>, VariableError> {
    let name = "public_base_url";
    let url = values.url(name, &["http", "https"])?;
    if url.as_ref().is_some_and(|url| url.query().is_some() || url.fragment().is_some()) {
        let problem = "must not have a query or a fragment: the keys of objects are appended to it".into();
        return Err(VariableError { name, problem });
    }
    Ok(url)
}

/// Where clients read objects.
#[derive(Clone, Debug)]
pub struct PublicAddress(String);

impl PublicAddress {
    /// The variables that are read.
    pub const NAMES: &[&str] = &["public_base_url", "s3_endpoint", "s3_path", "s3_bucket"];

    /// Reads the variables: `public_base_url`, or the bucket's own address.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        if let Some(base) = public_base_url(values)? {
            return Ok(Self(base.as_str().trim_end_matches('/').to_owned()));
        }
        let endpoint = s3_endpoint(values)?;
        Ok(Self(format!("{}/{}", endpoint.as_str().trim_end_matches('/'), bucket_name(values)?)))
    }

    /// The address of the object with this key. Of the characters that keys have, only letters outside ASCII need
    /// escapes (RFC 3986, section 2.3).
    #[must_use]
    pub fn of(&self, key: &str) -> String {
        format!("{}/{}", self.0, utf8_percent_encode(key, CONTROLS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn an_endpoint_may_have_a_path() {
        let endpoint = |path| {
            let given = [
                ("s3_endpoint", "https://project.supabase.example"),
                ("s3_path", path),
                ("s3_bucket", "b"),
                ("s3_access_key_id", "i"),
                ("s3_secret_access_key", "s"),
            ];
            BucketSettings::parse(&values(&given)).map(|settings| settings.endpoint.to_string()).ok()
        };
        let expected = "https://project.supabase.example/storage/v1/s3";
        assert_eq!(endpoint("/storage/v1/s3").as_deref(), Some(expected));
        assert_eq!(endpoint("/storage/v1/s3/").as_deref(), Some(expected));
        for none in ["", "/"] {
            assert_eq!(endpoint(none).as_deref(), Some("https://project.supabase.example/"));
        }
        for bad in ["storage/v1/s3", "/a/../b", "/a b", "/a?b", "/a#b", "https://s3.example/a", "//other.example\\"] {
            assert_eq!(endpoint(bad), None, "{bad}");
        }
    }

    #[test]
    fn objects_are_read_at_the_public_address() {
        let own = PublicAddress::parse(&values(&[("s3_endpoint", "http://s3:9000/"), ("s3_bucket", "b")]));
        assert_eq!(own.map(|address| address.of("k/a.pdf")), Ok("http://s3:9000/b/k/a.pdf".into()));
        for path in ["/storage/v1/s3", "/storage/v1/s3/"] {
            let below = [("s3_endpoint", "https://s3.example"), ("s3_path", path), ("s3_bucket", "b")];
            let below = PublicAddress::parse(&values(&below)).map(|address| address.of("k/a.pdf"));
            assert_eq!(below, Ok("https://s3.example/storage/v1/s3/b/k/a.pdf".into()));
        }
        let cdn = PublicAddress::parse(&values(&[("public_base_url", "https://cdn.example/files/")]));
        let cdn = |key| cdn.as_ref().map(|address| address.of(key)).ok();
        assert_eq!(cdn("k").as_deref(), Some("https://cdn.example/files/k"));
        assert_eq!(cdn("a~7c/城.pdf").as_deref(), Some("https://cdn.example/files/a~7c/%E5%9F%8E.pdf"));
        let bare = PublicAddress::parse(&values(&[("public_base_url", "https://cdn.example")]));
        assert_eq!(bare.map(|address| address.of("k")), Ok("https://cdn.example/k".into()));
    }

    #[test]
    fn keys_cannot_be_appended_to_a_query() {
        for base in ["https://cdn.example/?token=a", "https://cdn.example?", "https://cdn.example/files#top"] {
            let error = PublicAddress::parse(&values(&[("public_base_url", base)])).unwrap_err().to_string();
            assert!(error.starts_with("the variable public_base_url must not have a query or a fragment"), "{error}");
        }
    }
}
