//! Presigned URLs
//! ([Signature Version 4 in the query](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)).
//! rusty-s3 would add about 130 KB to a component, most of it jiff's formats and error texts; the tests compare with it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use moc_config::{AddressingStyle, BucketSettings};
use moc_domain::time::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use url::Url;

/// All but the unreserved characters (RFC 3986, section 2.3).
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// As [`SEGMENT`], for several of them.
pub(super) const PATH: &AsciiSet = &SEGMENT.remove(b'/');
/// As [`PATH`], where it is percent-encoded already.
const ENCODED_PATH: &AsciiSet = &PATH.remove(b'%');

/// Signs requests to one bucket.
pub struct Signer {
    /// The bucket's own URL, with a trailing slash.
    bucket: Url,
    region: String,
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// A request to sign.
pub struct Unsigned<'a> {
    pub method: &'a str,
    /// The object's key.
    pub key: &'a str,
    /// Sorted by name. The names start with lowercase letters and need no escapes.
    pub query: &'a [(&'a str, &'a str)],
    /// Headers that the request has to have, with these values. Sorted by name, lowercase, without `host`.
    pub headers: &'a [(&'a str, &'a str)],
    pub ttl_seconds: u64,
}

impl Signer {
    /// For requests of the components.
    pub fn new(settings: &BucketSettings) -> Self {
        Self::at(&settings.endpoint, settings)
    }

    /// For requests of clients.
    pub fn public(settings: &BucketSettings) -> Self {
        Self::at(&settings.public_endpoint, settings)
    }

    fn at(endpoint: &Url, settings: &BucketSettings) -> Self {
        let mut bucket = endpoint.clone();
        let prefix = utf8_percent_encode(bucket.path().trim_end_matches('/'), ENCODED_PATH).to_string();
        bucket.set_path(&match settings.addressing_style {
            AddressingStyle::Path => format!("{prefix}/{}/", utf8_percent_encode(&settings.bucket, SEGMENT)),
            AddressingStyle::Virtual => format!("{prefix}/"),
        });
        Self {
            bucket,
            region: settings.region.clone(),
            access_key_id: settings.access_key_id.clone(),
            secret_access_key: settings.secret_access_key.clone(),
            session_token: settings.session_token.clone(),
        }
    }

    /// The URL at which the request can be sent from `now` on, for as long as it says.
    pub fn presign(&self, request: &Unsigned<'_>, now: Timestamp) -> Url {
        let mut url = self.url(request.key);
        let time = basic(now);
        let (headers, names) = canonical_headers(&url, request.headers);
        let credential = format!("{}/{}", self.access_key_id, self.scope(&time));
        let ttl_seconds = request.ttl_seconds.to_string();
        let mut own = vec![
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &ttl_seconds),
        ];
        own.extend(self.session_token.as_deref().map(|token| ("X-Amz-Security-Token", token)));
        own.push(("X-Amz-SignedHeaders", &names));
        let query = canonical_query(own.iter().chain(request.query));
        let canonical = format!("{}\n{}\n{query}\n{headers}\n{names}\nUNSIGNED-PAYLOAD", request.method, url.path());
        url.set_query(Some(&format!("{query}&X-Amz-Signature={}", self.signature(&time, &canonical))));
        url
    }

    /// The URL of a request that is sent at once, and the headers that it has next to its own, with its signature
    /// ([Authorization](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html)).
    /// `payload` is signed in place of the digest of its bytes.
    pub fn authorize(
        &self,
        request: &Unsigned<'_>,
        payload: &str,
        now: Timestamp,
    ) -> (Url, Vec<(&'static str, String)>) {
        let mut url = self.url(request.key);
        let time = basic(now);
        let mut own = vec![("x-amz-content-sha256", payload.to_owned()), ("x-amz-date", time.clone())];
        own.extend(self.session_token.clone().map(|token| ("x-amz-security-token", token)));
        let mut signed = request.headers.to_vec();
        signed.extend(own.iter().map(|(name, value)| (*name, value.as_str())));
        signed.sort_unstable();
        let (headers, names) = canonical_headers(&url, &signed);
        let query = canonical_query(request.query.iter());
        let canonical = format!("{}\n{}\n{query}\n{headers}\n{names}\n{payload}", request.method, url.path());
        let (id, scope, signature) = (&self.access_key_id, self.scope(&time), self.signature(&time, &canonical));
        let credential = format!("AWS4-HMAC-SHA256 Credential={id}/{scope}");
        own.push(("authorization", format!("{credential},SignedHeaders={names},Signature={signature}")));
        url.set_query(Some(&query).filter(|query| !query.is_empty()).map(String::as_str));
        (url, own)
    }

    fn url(&self, key: &str) -> Url {
        let mut url = self.bucket.clone();
        url.set_path(&format!("{}{}", url.path(), utf8_percent_encode(key, PATH)));
        url
    }

    fn scope(&self, time: &str) -> String {
        format!("{}/{}/s3/aws4_request", date_of(time), self.region)
    }

    fn signature(&self, time: &str, canonical: &str) -> String {
        let digest = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{}\n{digest}", self.scope(time));
        let key = format!("AWS4{}", self.secret_access_key).into_bytes();
        let key = [date_of(time), &self.region, "s3", "aws4_request", &text]
            .iter()
            .fold(key, |key, text| hmac_sha256(&key, text.as_bytes()));
        hex::encode(key)
    }
}

/// The lines of the headers, `host` among them, and their names.
fn canonical_headers(url: &Url, headers: &[(&str, &str)]) -> (String, String) {
    let (before, after) = headers.split_at(headers.partition_point(|(name, _)| *name < "host"));
    let (mut lines, mut names) = (String::new(), String::new());
    for (name, value) in before.iter().chain(&[("host", url.authority())]).chain(after) {
        lines.extend([*name, ":"]);
        // Spaces in a row count as one, and those around the value not at all.
        let words = value.split(' ').filter(|word| !word.is_empty());
        lines.extend(words.enumerate().flat_map(|(number, word)| [if number == 0 { "" } else { " " }, word]));
        lines.push('\n');
        names.extend([if names.is_empty() { "" } else { ";" }, *name]);
    }
    (lines, names)
}

fn canonical_query<'a>(pairs: impl Iterator<Item = &'a (&'a str, &'a str)>) -> String {
    let mut query = String::new();
    for (name, value) in pairs {
        query.extend([if query.is_empty() { "" } else { "&" }, *name, "="]);
        query.extend(utf8_percent_encode(value, SEGMENT));
    }
    query
}

/// The date of a time in the basic format.
fn date_of(time: &str) -> &str {
    time.split('T').next().unwrap_or_default()
}

/// The basic format of ISO 8601: `20130524T000000Z`.
fn basic(time: Timestamp) -> String {
    let text = time.to_string();
    let seconds = text.split('.').next().unwrap_or_default();
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

/// HMAC-SHA256 (RFC 2104).
fn hmac_sha256(key: &[u8], text: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length.
    let Ok(mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use moc_config::Values;
    use rusty_s3::actions::{GetObject, S3Action, UploadPart};
    use rusty_s3::{Bucket, Credentials, UrlStyle};

    use super::*;

    /// 24 May 2013, the day of AWS's examples.
    const DAY: Timestamp = Timestamp::from_millis(1_369_353_600_000);
    const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn settings(endpoint: &str, bucket: &str) -> BucketSettings {
        let values = [
            ("s3_endpoint", "https://placeholder.example"),
            ("s3_region", "us-east-1"),
            ("s3_bucket", bucket),
            ("s3_access_key_id", KEY_ID),
            ("s3_secret_access_key", SECRET),
        ];
        let values: Values = values.map(|(name, value)| (name, value.to_owned())).into_iter().collect();
        BucketSettings { endpoint: endpoint.parse().unwrap(), ..BucketSettings::parse(&values).unwrap() }
    }

    fn get(key: &str) -> Unsigned<'_> {
        Unsigned { method: "GET", key, query: &[], headers: &[], ttl_seconds: 86_400 }
    }

    /// The URL of AWS's
    /// [example](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html).
    #[test]
    fn signs_the_example_of_aws() {
        let settings = settings("https://examplebucket.s3.amazonaws.com", "examplebucket");
        let signer = Signer::new(&BucketSettings { addressing_style: AddressingStyle::Virtual, ..settings });
        let expected = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(signer.presign(&get("test.txt"), DAY).as_str(), expected);
    }

    #[test]
    fn signs_as_rusty_s3_does() {
        let now = Timestamp::from_millis(1_769_342_459_999);
        let their_now = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap();
        let ttl = Duration::from_secs(86_400);
        for (endpoint, session_token) in [
            "https://s3.eu-west-1.amazonaws.com",
            "http://127.0.0.1:9000",
            "http://[::1]:9000/",
            "https://s3.example:443",
            "https://project.supabase.example/storage/v1/s3",
            "https://project.supabase.example/storage/v1/s3/",
            "https://proxy.example/an%20encoded%2fprefix",
        ]
        .into_iter()
        .flat_map(|endpoint| [(endpoint, None), (endpoint, Some("FwoGZXIvYXdz+/=="))])
        {
            let credentials = match session_token {
                None => Credentials::new(KEY_ID, SECRET),
                Some(token) => Credentials::new_with_token(KEY_ID, SECRET, token),
            };
            for name in ["moc-uploads", "A bucket/é"] {
                let session_token = session_token.map(str::to_owned);
                let bucket = name.to_owned();
                let signer = Signer::new(&BucketSettings { session_token, bucket, ..settings(endpoint, "b") });
                let bucket =
                    Bucket::new(endpoint.parse().unwrap(), UrlStyle::Path, name.to_owned(), "us-east-1").unwrap();
                for key in ["a.pdf", "uploads/dev-user/~x_1.0-a/b.pdf", "with space+plus&é/%2F'(!)*.pdf"] {
                    let theirs = GetObject::new(&bucket, Some(&credentials), key).sign_with_time(ttl, &their_now);
                    assert_eq!(signer.presign(&get(key), now), theirs);

                    let mut theirs = UploadPart::new(&bucket, Some(&credentials), key, 10_000, "id+/=~ é");
                    for (header, value) in [("content-length", "100"), ("x-amz-meta-name", "a b")] {
                        theirs.headers_mut().insert(header, value);
                    }
                    let part = Unsigned {
                        method: "PUT",
                        query: &[("partNumber", "10000"), ("uploadId", "id+/=~ é")],
                        headers: &[("content-length", "100"), ("x-amz-meta-name", "a b")],
                        ..get(key)
                    };
                    assert_eq!(signer.presign(&part, now), theirs.sign_with_time(ttl, &their_now));
                }
            }
        }
    }

    /// The signature of AWS's
    /// [example](https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html) "GET Object".
    #[test]
    fn authorizes_the_example_of_aws() {
        let settings = settings("https://examplebucket.s3.amazonaws.com", "examplebucket");
        let signer = Signer::new(&BucketSettings { addressing_style: AddressingStyle::Virtual, ..settings });
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let request = Unsigned { headers: &[("range", "bytes=0-9")], ..get("test.txt") };
        let (url, headers) = signer.authorize(&request, empty, DAY);
        assert_eq!(url.as_str(), "https://examplebucket.s3.amazonaws.com/test.txt");
        let expected = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,\
            SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,\
            Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        let own: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_eq!(
            own,
            [("x-amz-content-sha256", empty), ("x-amz-date", "20130524T000000Z"), ("authorization", expected)]
        );
        let signer = Signer { session_token: Some("token".into()), ..signer };
        let (_, headers) = signer.authorize(&request, empty, DAY);
        assert!(headers.contains(&("x-amz-security-token", "token".to_owned())));
        let (_, authorization) = headers.last().unwrap();
        assert!(authorization.contains(";x-amz-date;x-amz-security-token,Signature="), "{authorization}");
    }

    /// As in step 1 of [Create a canonical
    /// request](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).
    #[test]
    fn spaces_of_headers_are_signed_as_one() {
        let url = "https://s3.example/".parse().unwrap();
        let (lines, names) = canonical_headers(&url, &[("content-disposition", " inline;  filename=\"a   b.pdf\" ")]);
        assert_eq!(lines, "content-disposition:inline; filename=\"a b.pdf\"\nhost:s3.example\n");
        assert_eq!(names, "content-disposition;host");
    }

    #[test]
    fn signs_virtual_hosts_as_rusty_s3_does() {
        let settings = settings("https://b.s3.eu-west-1.amazonaws.com", "b");
        let signer = Signer::new(&BucketSettings { addressing_style: AddressingStyle::Virtual, ..settings });
        let endpoint = "https://s3.eu-west-1.amazonaws.com".parse().unwrap();
        let bucket = Bucket::new(endpoint, UrlStyle::VirtualHost, "b", "us-east-1").unwrap();
        let credentials = Credentials::new(KEY_ID, SECRET);
        let mut theirs = GetObject::new(&bucket, Some(&credentials), "a/b.pdf");
        theirs.query_mut().insert("response-content-disposition", "attachment; filename=\"a, b.csv\"");
        let query = [("response-content-disposition", "attachment; filename=\"a, b.csv\"")];
        let now = jiff::Timestamp::from_millisecond(DAY.as_millis()).unwrap();
        let theirs = theirs.sign_with_time(Duration::from_secs(86_400), &now);
        assert_eq!(signer.presign(&Unsigned { query: &query, ..get("a/b.pdf") }, DAY), theirs);
    }

    #[test]
    fn clients_get_urls_of_the_endpoint_that_they_reach() {
        let public_endpoint = "https://s3.example/s3".parse().unwrap();
        let settings = BucketSettings { public_endpoint, ..settings("http://minio:9000", "b") };
        assert!(Signer::new(&settings).presign(&get("k"), DAY).as_str().starts_with("http://minio:9000/b/k?"));
        assert!(Signer::public(&settings).presign(&get("k"), DAY).as_str().starts_with("https://s3.example/s3/b/k?"));
    }

    #[test]
    fn escapes_what_an_endpoint_leaves() {
        let signer = Signer::new(&settings("https://proxy.example/(s3)!/", "b"));
        assert_eq!(signer.presign(&get("k"), DAY).path(), "/%28s3%29%21/b/k");
    }
}
