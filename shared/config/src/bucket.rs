//! The bucket that holds the files.

use moc_domain::limits::{BATCH_MAX_BYTES, MIB};
use percent_encoding::{CONTROLS, utf8_percent_encode};
use url::Url;

use crate::{ObjectSettings, UploadSettings, Values, VariableError};

/// The S3 endpoint: its origin, which grants the host, with the path below it, without the path's trailing slash.
fn s3_endpoint(values: &Values) -> Result<Url, VariableError> {
    let name = "s3_endpoint";
    below_path(values, values.origin(name)?.ok_or_else(|| VariableError { name, problem: "is not set".into() })?)
}

/// The endpoint as clients reach it: another origin, if there is one, with the same path.
fn public_endpoint(values: &Values) -> Result<Url, VariableError> {
    match values.origin("s3_public_endpoint")? {
        Some(origin) => below_path(values, origin),
        None => s3_endpoint(values),
    }
}

fn below_path(values: &Values, mut endpoint: Url) -> Result<Url, VariableError> {
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

/// Where requests name the bucket
/// ([Virtual hosting](https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressingStyle {
    /// In the path.
    #[default]
    Path,
    /// In the host, which an endpoint has already.
    Virtual,
}

fn addressing_style(values: &Values) -> Result<AddressingStyle, VariableError> {
    let name = "s3_addressing_style";
    match values.text(name) {
        None | Some("path") => Ok(AddressingStyle::Path),
        Some("virtual") => Ok(AddressingStyle::Virtual),
        Some(_) => Err(VariableError { name, problem: "must be path or virtual".into() }),
    }
}

/// Which checksum goes to S3 with each part. Buckets with Object Lock take no part without one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PartChecksum {
    #[default]
    None,
    /// `Content-MD5`: the client's, or one that is computed once the part is in memory.
    Md5,
    /// CRC-64/NVME in a trailer, computed while the part streams.
    Crc64Nvme,
}

fn part_checksum(values: &Values) -> Result<PartChecksum, VariableError> {
    let name = "s3_checksums";
    match values.text(name) {
        None | Some("none") => Ok(PartChecksum::None),
        Some("md5") => Ok(PartChecksum::Md5),
        Some("crc64nvme") => Ok(PartChecksum::Crc64Nvme),
        Some(_) => Err(VariableError { name, problem: "must be none, md5 or crc64nvme".into() }),
    }
}

/// Where the bucket is, how to sign for it, and what it is sent.
#[derive(Clone, Debug)]
pub struct BucketSettings {
    /// The S3 endpoint, with its path.
    pub endpoint: Url,
    /// The same in the presigned URLs that clients get.
    pub public_endpoint: Url,
    /// The region that requests are signed for.
    pub region: String,
    /// The bucket's name.
    pub bucket: String,
    pub addressing_style: AddressingStyle,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
    /// What temporary credentials have besides.
    pub session_token: Option<String>,
    pub checksum: PartChecksum,
    pub objects: ObjectSettings,
}

impl BucketSettings {
    /// The variables that are read.
    pub const NAMES: &[&str] = &[
        "s3_endpoint",
        "s3_public_endpoint",
        "s3_path",
        "s3_region",
        "s3_bucket",
        "s3_addressing_style",
        "s3_access_key_id",
        "s3_secret_access_key",
        "s3_session_token",
        "s3_checksums",
        "s3_storage_class",
        "s3_server_side_encryption",
        "s3_sse_kms_key_id",
        "object_cache_control",
    ];

    /// Reads the variables.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        Ok(Self {
            endpoint: s3_endpoint(values)?,
            public_endpoint: public_endpoint(values)?,
            region: word(values, "s3_region")?.unwrap_or("us-east-1").to_owned(),
            bucket: bucket_name(values)?.to_owned(),
            addressing_style: addressing_style(values)?,
            access_key_id: values.required("s3_access_key_id")?.to_owned(),
            secret_access_key: values.required("s3_secret_access_key")?.to_owned(),
            session_token: values.text("s3_session_token").map(str::to_owned),
            checksum: part_checksum(values)?,
            objects: ObjectSettings::parse(values)?,
        })
    }

    /// Whether S3 gets no part without its MD5, nor one that a client sends there itself.
    #[must_use]
    pub fn requires_md5(&self) -> bool {
        self.checksum == PartChecksum::Md5
    }

    /// Checks it against the settings of uploads. Returns what to warn of.
    ///
    /// # Errors
    /// The variable that does not fit.
    pub fn check(&self, upload: &UploadSettings) -> Result<Vec<String>, VariableError> {
        let mut warnings = Vec::new();
        if self.requires_md5() {
            let name = "multipart_part_size_mb";
            if upload.part_size_bytes > BATCH_MAX_BYTES {
                let limit_mib = BATCH_MAX_BYTES / MIB;
                let problem = format!(
                    "must be at most {limit_mib} if s3_checksums is md5: a part without Content-MD5 is kept in memory"
                );
                return Err(VariableError { name, problem });
            }
            if upload.mode.is_direct() {
                warnings.push(
                    "s3_checksums is md5, and upload_mode lets clients send parts straight to the bucket: they have to \
                     name each part's MD5 in contentMd5, which the page does not"
                        .into(),
                );
            }
        }
        for (name, endpoint) in [("s3_endpoint", &self.endpoint), ("s3_public_endpoint", &self.public_endpoint)] {
            let names_bucket = endpoint.host_str().is_some_and(|host| {
                host.strip_prefix(&self.bucket).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            });
            match self.addressing_style {
                AddressingStyle::Virtual if !names_bucket => warnings.push(format!(
                    "s3_addressing_style is virtual, but the host of {name} does not begin with the bucket's name"
                )),
                AddressingStyle::Path if names_bucket => warnings
                    .push(format!("the host of {name} begins with the bucket's name, but s3_addressing_style is path")),
                _ => {}
            }
        }
        // One endpoint for both is warned of once.
        if self.endpoint == self.public_endpoint {
            warnings.retain(|warning| !warning.contains("s3_public_endpoint"));
        }
        Ok(warnings)
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
    /// Reads the variables: `public_base_url`, or the bucket's own address.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn parse(values: &Values) -> Result<Self, VariableError> {
        if let Some(base) = public_base_url(values)? {
            return Ok(Self(base.as_str().trim_end_matches('/').to_owned()));
        }
        let endpoint = public_endpoint(values)?;
        let endpoint = endpoint.as_str().trim_end_matches('/');
        Ok(Self(match addressing_style(values)? {
            AddressingStyle::Path => format!("{endpoint}/{}", bucket_name(values)?),
            AddressingStyle::Virtual => endpoint.to_owned(),
        }))
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

    const BUCKET: [(&str, &str); 4] = [
        ("s3_endpoint", "http://s3:9000"),
        ("s3_bucket", "b"),
        ("s3_access_key_id", "i"),
        ("s3_secret_access_key", "s"),
    ];

    fn settings(pairs: &[(&'static str, &str)]) -> Result<BucketSettings, String> {
        let given = pairs.iter().chain(BUCKET.iter().filter(|(name, _)| !pairs.iter().any(|(given, _)| given == name)));
        let given = given.map(|(name, value)| (*name, (*value).to_owned())).collect();
        BucketSettings::parse(&given).map_err(|error| error.to_string())
    }

    /// The start's warnings, or its error.
    fn said(pairs: &[(&'static str, &str)]) -> Vec<String> {
        let upload = UploadSettings::parse(&values(pairs)).unwrap();
        settings(pairs).unwrap().check(&upload).unwrap_or_else(|error| vec![error.to_string()])
    }

    #[test]
    fn clients_may_reach_the_endpoint_under_another_origin() {
        let endpoints = |pairs: &[(&'static str, &str)]| {
            let settings = settings(pairs).unwrap();
            [settings.endpoint, settings.public_endpoint].map(|url| url.to_string())
        };
        assert_eq!(endpoints(&[]), ["http://s3:9000/", "http://s3:9000/"]);
        let other = [("s3_public_endpoint", "https://s3.example"), ("s3_path", "/a/")];
        assert_eq!(endpoints(&other), ["http://s3:9000/a", "https://s3.example/a"]);
        let address = PublicAddress::parse(&values(&[other[0], other[1], BUCKET[0], BUCKET[1]]));
        assert_eq!(address.map(|address| address.of("k")), Ok("https://s3.example/a/b/k".into()));
        let error = settings(&[("s3_public_endpoint", "https://s3.example/a")]).unwrap_err();
        assert_eq!(error, "the variable s3_public_endpoint must be an origin, for example https://example.com");
    }

    #[test]
    fn a_virtual_host_is_the_buckets_own() {
        let style = |style| settings(&[("s3_addressing_style", style)]).map(|settings| settings.addressing_style);
        assert_eq!((style(""), style("path")), (Ok(AddressingStyle::Path), Ok(AddressingStyle::Path)));
        assert_eq!(style("virtual"), Ok(AddressingStyle::Virtual));
        assert_eq!(style("host"), Err("the variable s3_addressing_style must be path or virtual".into()));

        let host = ("s3_endpoint", "https://b.s3.eu-west-1.amazonaws.com");
        let style = ("s3_addressing_style", "virtual");
        let address = PublicAddress::parse(&values(&[host, style, BUCKET[1]]));
        assert_eq!(address.map(|address| address.of("k")), Ok("https://b.s3.eu-west-1.amazonaws.com/k".into()));
        assert_eq!(said(&[host, style]), Vec::<String>::new());
        let [warning] = &said(&[style])[..] else { unreachable!("one endpoint is warned of once") };
        assert!(warning.contains("the host of s3_endpoint does not begin with the bucket's name"), "{warning}");
        let public = ("s3_public_endpoint", "https://files.example");
        assert!(said(&[host, style, public])[0].contains("the host of s3_public_endpoint does not"));
        assert!(said(&[host])[0].contains("but s3_addressing_style is path"));
        assert_eq!(said(&[("s3_endpoint", "https://bricks.example")]), Vec::<String>::new());
    }

    #[test]
    fn a_checksum_that_has_to_come_first_limits_parts_and_clients() {
        let checksum = |name| settings(&[("s3_checksums", name)]).map(|settings| settings.checksum);
        assert_eq!((checksum(""), checksum("none")), (Ok(PartChecksum::None), Ok(PartChecksum::None)));
        assert_eq!((checksum("md5"), checksum("crc64nvme")), (Ok(PartChecksum::Md5), Ok(PartChecksum::Crc64Nvme)));
        assert_eq!(checksum("crc32"), Err("the variable s3_checksums must be none, md5 or crc64nvme".into()));

        let (md5, crc) = (("s3_checksums", "md5"), ("s3_checksums", "crc64nvme"));
        let large = ("multipart_part_size_mb", "51");
        assert!(said(&[md5, large])[0].starts_with("the variable multipart_part_size_mb must be at most 50 if "));
        for fits in [&[md5, ("multipart_part_size_mb", "50")][..], &[crc, large], &[crc, ("upload_mode", "both")]] {
            assert_eq!(said(fits), Vec::<String>::new(), "{fits:?}");
        }
        assert!(said(&[md5, ("upload_mode", "both")])[0].contains("contentMd5"));
    }
}
