//! Another path in front of an S3, as Supabase has one, or as a host that is the bucket's own has. Signatures cover it:
//! they are verified as rusty-s3 makes them, and made anew for the S3 behind it.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rusty_s3::{Method, signing};
use url::Url;

use crate::surroundings::bucket_setting;

/// The head of a request as the S3 gets it, below `behind_prefix` what came below `prefix`; `None` if it does not, or
/// its signature is wrong. One without a signature goes on without.
pub(crate) fn rewrite(head: &[u8], prefix: &str, behind_prefix: &str) -> Option<Vec<u8>> {
    let (line, headers) = std::str::from_utf8(head).ok()?.split_once("\r\n")?;
    let header = |name: &str| {
        let mut fields = headers.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let mut words = line.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let url = Url::parse(&format!("http://{}{target}", header("host")?)).ok()?;
    let mut behind = url.clone();
    let path = url.path().strip_prefix(prefix).filter(|path| path.starts_with('/'))?;
    behind.set_path(&format!("{behind_prefix}{path}"));

    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let own = |name: &str| pairs.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
    if own("X-Amz-Signature").is_some() {
        let names = own("X-Amz-SignedHeaders")?.split(';').filter(|name| *name != "host");
        let signed: Vec<(&str, &str)> = names.map(|name| Some((name, header(name)?))).collect::<Option<_>>()?;
        let rest = pairs.iter().filter(|(name, _)| !name.starts_with("X-Amz-"));
        let mut rest: Vec<(&str, &str)> = rest.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        rest.sort_unstable();
        let date = DateTime::strptime("%Y%m%dT%H%M%SZ", own("X-Amz-Date")?).ok()?.to_zoned(TimeZone::UTC).ok()?;
        let ttl_seconds = own("X-Amz-Expires")?.parse().ok()?;
        let [region, key_id, secret] = ["s3_region", "s3_access_key_id", "s3_secret_access_key"].map(bucket_setting);
        let sign = |url: Url| {
            let (query, headers) = (rest.iter().copied(), signed.iter().copied());
            let (date, method) = (date.timestamp(), verb(method)?);
            Some(signing::sign(&date, method, url, key_id, secret, None, region, ttl_seconds, query, headers))
        };
        if sign(url.clone())? != url {
            return None;
        }
        behind = sign(behind)?;
    }
    let query = behind.query().map_or_else(String::new, |query| format!("?{query}"));
    Some(format!("{method} {}{query} HTTP/1.1\r\n{headers}", behind.path()).into_bytes())
}

fn verb(method: &str) -> Option<Method> {
    Some(match method {
        "DELETE" => Method::Delete,
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        _ => return None,
    })
}
