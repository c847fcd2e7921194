//! Presigned URLs
//! ([Signature Version 4 in the query](https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html)).
//! rusty-s3 would add about 130 KB to a component, most of it jiff's formats and error texts; the tests compare with it.

use hmac::{Hmac, KeyInit as _, Mac as _};
use moc_config::BucketSettings;
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
    /// The bucket's own URL, path style, with a trailing slash.
    bucket: Url,
    region: String,
    access_key_id: String,
    secret_access_key: String,
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
    pub fn new(settings: BucketSettings) -> Self {
        let BucketSettings { endpoint: mut bucket, region, bucket: name, access_key_id, secret_access_key } = settings;
        let prefix = utf8_percent_encode(bucket.path().trim_end_matches('/'), ENCODED_PATH);
        let path = format!("{prefix}/{}/", utf8_percent_encode(&name, SEGMENT));
        bucket.set_path(&path);
        Self { bucket, region, access_key_id, secret_access_key }
    }

    /// The URL at which the request can be sent from `now` on, for as long as it says.
    pub fn presign(&self, request: &Unsigned<'_>, now: Timestamp) -> Url {
        let mut url = self.bucket.clone();
        url.set_path(&format!("{}{}", url.path(), utf8_percent_encode(request.key, PATH)));

        let time = basic(now);
        let date = time.split('T').next().unwrap_or_default();
        let scope = format!("{date}/{}/s3/aws4_request", self.region);

        let (before, after) = request.headers.split_at(request.headers.partition_point(|(name, _)| *name < "host"));
        let (mut headers, mut names) = (String::new(), String::new());
        for (name, value) in before.iter().chain(&[("host", url.authority())]).chain(after) {
            headers.extend([*name, ":", *value, "\n"]);
            names.extend([if names.is_empty() { "" } else { ";" }, *name]);
        }

        let credential = format!("{}/{scope}", self.access_key_id);
        let ttl_seconds = request.ttl_seconds.to_string();
        let own = [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &time),
            ("X-Amz-Expires", &ttl_seconds),
            ("X-Amz-SignedHeaders", &names),
        ];
        let mut query = String::new();
        for (name, value) in own.iter().chain(request.query) {
            query.extend([if query.is_empty() { "" } else { "&" }, *name, "="]);
            query.extend(utf8_percent_encode(value, SEGMENT));
        }

        let canonical = format!("{}\n{}\n{query}\n{headers}\n{names}\nUNSIGNED-PAYLOAD", request.method, url.path());
        let digest = hex::encode(Sha256::digest(canonical));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = format!("AWS4{}", self.secret_access_key).into_bytes();
        let key = [date, &self.region, "s3", "aws4_request", &text]
            .iter()
            .fold(key, |key, text| hmac_sha256(&key, text.as_bytes()));
        url.set_query(Some(&format!("{query}&X-Amz-Signature={}", hex::encode(key))));
        url
    }
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
        let bucket = Url::parse("https://examplebucket.s3.amazonaws.com/").unwrap();
        let signer = Signer { bucket, ..Signer::new(settings("https://s3.amazonaws.com", "examplebucket")) };
        let expected = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(signer.presign(&get("test.txt"), DAY).as_str(), expected);
    }

    #[test]
    fn signs_as_rusty_s3_does() {
        let credentials = Credentials::new(KEY_ID, SECRET);
        let now = Timestamp::from_millis(1_769_342_459_999);
        let their_now = jiff::Timestamp::from_millisecond(now.as_millis()).unwrap();
        let ttl = Duration::from_secs(86_400);
        for endpoint in [
            "https://s3.eu-west-1.amazonaws.com",
            "http://127.0.0.1:9000",
            "http://[::1]:9000/",
            "https://s3.example:443",
            "https://project.supabase.example/storage/v1/s3",
            "https://project.supabase.example/storage/v1/s3/",
            "https://proxy.example/an%20encoded%2fprefix",
        ] {
            for name in ["moc-uploads", "A bucket/é"] {
                let signer = Signer::new(settings(endpoint, name));
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

    #[test]
    fn escapes_what_an_endpoint_leaves() {
        let signer = Signer::new(settings("https://proxy.example/(s3)!/", "b"));
        assert_eq!(signer.presign(&get("k"), DAY).path(), "/%28s3%29%21/b/k");
    }
}
