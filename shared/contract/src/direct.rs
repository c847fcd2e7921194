//! Direct uploads: parts that clients put into the bucket themselves, at presigned URLs, and record afterwards.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use moc_domain::error::{ErrorKind, FieldError};
use moc_domain::etag::ETag;
use moc_domain::file::{File, Progress, StoredPart};
use moc_domain::limits::{DIRECT_PARTS_MAX, PART_NUMBER_MAX, VALIDATION_ERRORS_MAX};
use moc_domain::part::PartNumber;
use moc_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The header with the MD5 of a part (RFC 1864).
const CONTENT_MD5: &str = "Content-MD5";

/// Which way clients are to send parts. Every route works in every mode, so that a client can take the other one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadMode {
    /// Through the service.
    #[default]
    Through,
    /// Straight to the bucket.
    Direct,
    /// As the client prefers.
    Both,
}

impl UploadMode {
    /// Reads its name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "through" => Some(Self::Through),
            "direct" => Some(Self::Direct),
            "both" => Some(Self::Both),
            _ => None,
        }
    }

    /// Whether clients may send parts straight to the bucket.
    #[must_use]
    pub const fn is_direct(self) -> bool {
        !matches!(self, Self::Through)
    }
}

/// A part for which a URL is wanted, with the MD5 that the bucket has to verify, if there is one.
pub type WantedUrl = (PartNumber, Option<[u8; 16]>);

/// Body of `POST …/parts/urls`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = GetPartUrls))]
#[serde(rename_all = "camelCase")]
pub struct PartUrlsBody {
    /// The parts, each once. The response has their URLs in this order.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::WantedParts))]
    pub part_numbers: Option<Vec<u64>>,
    /// The MD5 of parts in base64 (RFC 1864), by their numbers: the bucket takes no other bytes then.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Md5ByPart>))]
    pub content_md5: Option<BTreeMap<String, String>>,
}

impl PartUrlsBody {
    /// The parts, in the order in which they are named.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPartNumber`], or [`ErrorKind::Invalid`] if there are none, too many, one twice, or an MD5
    /// that is malformed or of a part that is not named.
    pub fn check(&self) -> Result<Vec<WantedUrl>, ErrorKind> {
        let numbers = counted(self.part_numbers.as_deref(), "/partNumbers")?;
        let mut wanted: Vec<WantedUrl> = Vec::with_capacity(numbers.len());
        for number in numbers {
            wanted.push((part_number(*number)?, None));
        }
        let mut errors = Vec::new();
        if is_any_twice(wanted.iter().map(|(number, _)| *number)) {
            errors.push(twice("/partNumbers"));
        }
        for (name, text) in self.content_md5.iter().flatten().take(DIRECT_PARTS_MAX + 1) {
            let mut wrong = |message: &str| {
                let name = name.replace('~', "~0").replace('/', "~1");
                errors.push(FieldError::new(format!("/contentMd5/{name}"), message));
            };
            let named = PartNumber::parse(name);
            let Some((_, md5)) = wanted.iter_mut().find(|(number, _)| Some(*number) == named) else {
                wrong("must be one of partNumbers");
                continue;
            };
            *md5 = BASE64_STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
            if md5.is_none() {
                wrong("must be 16 bytes in base64 (RFC 1864)");
            }
        }
        finish(wanted, errors)
    }
}

/// Where a part can be put: `PUT`, with the part's size as `Content-Length`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PartUrl {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    part_number: u16,
    /// In the bucket, presigned.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Uri))]
    url: String,
    /// What the request has to have besides, exactly so.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartHeaders, required = false))]
    headers: Option<BTreeMap<&'static str, String>>,
}

/// Where parts can be put: 200 of `POST …/parts/urls`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartUrls {
    /// In the order in which they were asked for.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartUrls))]
    urls: Vec<PartUrl>,
    /// Until when requests to them may begin.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Time))]
    expires_at: String,
}

impl PartUrls {
    /// The URLs of these parts, in the same order, which are good until `expire_at`.
    #[must_use]
    pub fn new(wanted: &[WantedUrl], urls: Vec<String>, expire_at: Timestamp) -> Self {
        let url = |((number, md5), url): (&WantedUrl, String)| PartUrl {
            part_number: number.get(),
            url,
            headers: md5.map(|md5| BTreeMap::from([(CONTENT_MD5, BASE64_STANDARD.encode(md5))])),
        };
        Self { urls: wanted.iter().zip(urls).map(url).collect(), expires_at: expire_at.to_string() }
    }
}

/// A part that a client has put into the bucket.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DirectPart))]
#[serde(rename_all = "camelCase")]
pub struct DirectPartBody {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    pub part_number: u64,
    /// As the bucket returned it, with or without quotes.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::AnyETag))]
    pub etag: String,
    /// In bytes, as in `Content-Length`.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    pub size_bytes: u64,
}

/// Body of `POST …/parts/stored`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = RecordParts))]
pub struct StoredPartsBody {
    /// The parts, each once, in any order.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::DirectParts))]
    pub parts: Option<Vec<DirectPartBody>>,
}

impl StoredPartsBody {
    /// The parts, as stored at `now`, in the order of their numbers.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPartNumber`], or [`ErrorKind::Invalid`] if there are none, too many, one twice, or an ETag
    /// that is malformed.
    pub fn check(&self, now: Timestamp) -> Result<Vec<StoredPart>, ErrorKind> {
        let named = counted(self.parts.as_deref(), "/parts")?;
        let (mut parts, mut errors) = (Vec::with_capacity(named.len()), Vec::new());
        for (index, part) in named.iter().enumerate() {
            let number = part_number(part.part_number)?;
            match ETag::parse(&part.etag) {
                Some(etag) => parts.push(StoredPart { number, etag, size_bytes: part.size_bytes, uploaded_at: now }),
                None => errors.push(FieldError::new(format!("/parts/{index}/etag"), "must be an ETag")),
            }
        }
        if is_any_twice(parts.iter().map(|part| part.number)) {
            errors.push(twice("/parts"));
        }
        parts.sort_by_key(|part| part.number);
        finish(parts, errors)
    }
}

/// How much of a file is stored.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FileProgress))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FileProgress {
    /// How many different parts are stored.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredPartCount))]
    parts_completed: u16,
    /// How many it has.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::PartCount))]
    parts_total: u16,
    /// Bytes of the stored parts.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::StoredBytes))]
    bytes_completed: u64,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    bytes_total: u64,
}

/// The parts are recorded: 200 of `POST …/parts/stored`.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PartsRecorded {
    /// Of the file, with these parts.
    progress: FileProgress,
}

impl PartsRecorded {
    /// What is stored of a file.
    #[must_use]
    pub fn new(file: &File, progress: Progress) -> Self {
        Self {
            progress: FileProgress {
                parts_completed: progress.parts_completed,
                parts_total: file.plan.total(),
                bytes_completed: progress.bytes_completed,
                bytes_total: file.size_bytes,
            },
        }
    }
}

/// A list that has to be there, with 1 to [`DIRECT_PARTS_MAX`] items.
fn counted<'a, T>(items: Option<&'a [T]>, pointer: &str) -> Result<&'a [T], ErrorKind> {
    let message = match items {
        None => "is required",
        Some(items) if (1..=DIRECT_PARTS_MAX).contains(&items.len()) => return Ok(items),
        Some(_) => "must have 1 to 100 parts",
    };
    Err(ErrorKind::Invalid { errors: vec![FieldError::new(pointer, message)] })
}

fn part_number(number: u64) -> Result<PartNumber, ErrorKind> {
    PartNumber::new(number).ok_or(ErrorKind::InvalidPartNumber { last: PART_NUMBER_MAX })
}

fn is_any_twice(numbers: impl Iterator<Item = PartNumber>) -> bool {
    let mut seen = BTreeSet::new();
    numbers.into_iter().any(|number| !seen.insert(number))
}

fn twice(pointer: &str) -> FieldError {
    FieldError::new(pointer, "must not list a part twice")
}

fn finish<T>(parts: Vec<T>, mut errors: Vec<FieldError>) -> Result<Vec<T>, ErrorKind> {
    errors.truncate(VALIDATION_ERRORS_MAX);
    if errors.is_empty() { Ok(parts) } else { Err(ErrorKind::Invalid { errors }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::read;

    const MD5: &str = "1B2M2Y8AsgTpgAmY7PhCfg==";

    fn pointers<T>(result: Result<T, ErrorKind>) -> Vec<String> {
        match result {
            Err(ErrorKind::Invalid { errors }) => errors.into_iter().map(|error| error.pointer).collect(),
            Err(kind) => vec![format!("{kind:?}")],
            Ok(_) => vec!["valid".into()],
        }
    }

    fn urls(text: &str) -> Result<Vec<WantedUrl>, ErrorKind> {
        read::<PartUrlsBody>(&mut text.as_bytes().to_vec()).and_then(|body| body.check())
    }

    fn stored(text: &str) -> Result<Vec<StoredPart>, ErrorKind> {
        read::<StoredPartsBody>(&mut text.as_bytes().to_vec()).and_then(|body| body.check(Timestamp::from_millis(0)))
    }

    #[test]
    fn keeps_the_order_of_the_urls_that_are_asked_for() {
        let body = format!(r#"{{"partNumbers":[3,1],"contentMd5":{{"1":"{MD5}"}}}}"#);
        let wanted = urls(&body).unwrap();
        let named: Vec<_> = wanted.iter().map(|(number, md5)| (number.get(), md5.map(hex::encode))).collect();
        assert_eq!(named, [(3, None), (1, Some("d41d8cd98f00b204e9800998ecf8427e".to_owned()))]);
        let response = PartUrls::new(&wanted, vec!["u".to_owned(); 2], Timestamp::from_millis(0));
        let expected = serde_json::json!({
            "urls": [
                { "partNumber": 3, "url": "u" },
                { "partNumber": 1, "url": "u", "headers": { "Content-MD5": MD5 } },
            ],
            "expiresAt": "1970-01-01T00:00:00.000Z",
        });
        assert_eq!(serde_json::json!(response), expected);
    }

    #[test]
    fn rejects_urls_of_no_parts_too_many_one_twice_and_malformed_md5s() {
        let numbers = |count: usize| format!("{{\"partNumbers\":{:?}}}", (1..=count).collect::<Vec<_>>());
        assert_eq!(urls(&numbers(DIRECT_PARTS_MAX)).map(|parts| parts.len()), Ok(DIRECT_PARTS_MAX));
        for body in ["{}", &numbers(0), &numbers(DIRECT_PARTS_MAX + 1), r#"{"partNumbers":[2,2]}"#] {
            assert_eq!(pointers(urls(body)), ["/partNumbers"], "{body}");
        }
        for number in [0, 10_001] {
            let body = format!("{{\"partNumbers\":[{number}]}}");
            assert_eq!(urls(&body), Err(ErrorKind::InvalidPartNumber { last: 10_000 }));
        }
        for (name, text) in [("1", "YQ=="), ("1", "x"), ("2", MD5), ("01", MD5), ("~/", MD5)] {
            let body = format!(r#"{{"partNumbers":[1],"contentMd5":{{"{name}":"{text}"}}}}"#);
            let pointer = format!("/contentMd5/{}", name.replace('~', "~0").replace('/', "~1"));
            assert_eq!(pointers(urls(&body)), [pointer]);
        }
    }

    #[test]
    fn sorts_the_parts_that_are_stored() {
        let body =
            r#"{"parts":[{"partNumber":2,"etag":"b","sizeBytes":1},{"partNumber":1,"etag":"\"a\"","sizeBytes":8}]}"#;
        let parts = stored(body).unwrap();
        let named: Vec<_> = parts.iter().map(|p| (p.number.get(), p.etag.to_string(), p.size_bytes)).collect();
        assert_eq!(named, [(1, "a".to_owned(), 8), (2, "b".to_owned(), 1)]);
    }

    #[test]
    fn rejects_stored_parts_that_are_none_too_many_twice_or_malformed() {
        let part = |number: usize, etag: &str| format!(r#"{{"partNumber":{number},"etag":"{etag}","sizeBytes":1}}"#);
        let parts = |parts: &[String]| format!("{{\"parts\":[{}]}}", parts.join(","));
        let many = |count| (1..=count).map(|number| part(number, "a")).collect::<Vec<_>>();
        assert_eq!(stored(&parts(&many(DIRECT_PARTS_MAX))).map(|parts| parts.len()), Ok(DIRECT_PARTS_MAX));
        let twice = parts(&[part(1, "a"), part(1, "b")]);
        for body in ["{}", &parts(&[]), &parts(&many(DIRECT_PARTS_MAX + 1)), &twice] {
            assert_eq!(pointers(stored(body)), ["/parts"], "{body}");
        }
        assert_eq!(pointers(stored(&parts(&[part(1, "a"), part(2, "")]))), ["/parts/1/etag"]);
        assert_eq!(stored(&parts(&[part(0, "a")])), Err(ErrorKind::InvalidPartNumber { last: 10_000 }));
    }

    #[test]
    fn modes_have_the_names_that_are_configured() {
        for mode in [UploadMode::Through, UploadMode::Direct, UploadMode::Both] {
            let name = serde_json::json!(mode);
            assert_eq!(name.as_str().and_then(UploadMode::parse), Some(mode));
        }
        assert_eq!(UploadMode::parse("Direct"), None);
        assert!(!UploadMode::Through.is_direct() && UploadMode::Direct.is_direct() && UploadMode::Both.is_direct());
    }
}
