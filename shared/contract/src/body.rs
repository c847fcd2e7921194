//! What clients send.

use moc_domain::checksum::{Checksums, from_hex};
use moc_domain::error::{ErrorKind, FieldError};
use moc_domain::etag::ETag;
use moc_domain::file::{ClaimedPart, Declaration, FileLimits, Pointers, RawDeclaration, check_declared};
use moc_domain::id::SessionId;
use moc_domain::limits::{PART_NUMBER_MAX, VALIDATION_ERRORS_MAX};
use moc_domain::moc::Description;
use moc_domain::part::PartNumber;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::surrogate::replace_lone_surrogates;

/// Reads a JSON body. An escape of half a character in it, which no `String` can hold, is read as U+FFFD.
///
/// # Errors
/// [`ErrorKind::EmptyBody`], [`ErrorKind::MalformedBody`] if it is not JSON, [`ErrorKind::Invalid`]
/// where a field has the wrong type.
pub fn read<T: DeserializeOwned>(bytes: &mut [u8]) -> Result<T, ErrorKind> {
    if bytes.is_empty() {
        return Err(ErrorKind::EmptyBody);
    }
    replace_lone_surrogates(bytes);
    // A list would be taken for an object's fields in their order.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(ErrorKind::Invalid { errors: vec![FieldError::new("", "must be an object")] });
    }
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let at = (error.inner().line(), error.inner().column());
        if error.inner().is_data() {
            ErrorKind::Invalid { errors: vec![FieldError::new(pointer(error.path()), without_position(&error))] }
        } else {
            malformed(at)
        }
    })?;
    reader.end().map_err(|error| malformed((error.line(), error.column())))?;
    Ok(value)
}

fn malformed((line, column): (usize, usize)) -> ErrorKind {
    ErrorKind::MalformedBody { detail: format!("The body is not JSON: line {line}, column {column}.") }
}

/// A path of `serde_path_to_error` as a JSON Pointer (RFC 6901).
fn pointer(path: &serde_path_to_error::Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        pointer.push_str(&segment.to_string().trim_matches(['[', ']']).replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

fn without_position(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let message = error.inner().to_string();
    message.split(" at line ").next().unwrap_or_default().to_owned()
}

/// Collects the fields that are required and absent.
#[derive(Default)]
struct Absent(Vec<FieldError>);

impl Absent {
    fn require<T>(&mut self, value: Option<T>, pointer: impl Into<String>) -> Option<T> {
        if value.is_none() && self.0.len() < VALIDATION_ERRORS_MAX {
            self.0.push(FieldError::new(pointer, "is required"));
        }
        value
    }

    fn kind(self) -> ErrorKind {
        ErrorKind::Invalid { errors: self.0 }
    }
}

/// A file as a client declares it.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = FileDeclaration))]
#[serde(rename_all = "camelCase")]
pub struct FileBody {
    /// `instruction`, `parts-list`, `image` or `thumbnail`.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Category))]
    pub category: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::FileName))]
    pub name: Option<String>,
    /// In bytes.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileSize))]
    pub size: Option<u64>,
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::DeclaredMediaType))]
    pub media_type: Option<String>,
    /// The extension, if the name has none.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Extension>))]
    pub ext: Option<String>,
}

const LONG: Pointers = Pointers { category: "/category", name: "/name", size: "/size", media_type: "/type" };
const SHORT: Pointers =
    Pointers { category: "/category", name: "/fileKey", size: "/fileSizeBytes", media_type: "/type" };

impl FileBody {
    fn declaration(&self, limits: &FileLimits, prefix: &str) -> Result<Declaration, ErrorKind> {
        let mut absent = Absent::default();
        let category = absent.require(self.category.as_deref(), format!("{prefix}/category"));
        let name = absent.require(self.name.as_deref(), format!("{prefix}/name"));
        let size = absent.require(self.size, format!("{prefix}/size"));
        let media_type = absent.require(self.media_type.as_deref(), format!("{prefix}/type"));
        let (Some(category), Some(name), Some(size_bytes), Some(media_type)) = (category, name, size, media_type)
        else {
            return Err(absent.kind());
        };
        let raw = RawDeclaration {
            category: Some(category),
            name,
            size_bytes,
            media_type: Some(media_type),
            extension: self.ext.as_deref(),
        };
        Declaration::parse(&raw, limits, prefix, &LONG)
    }
}

/// Body of `POST /sessions`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CreateSession))]
pub struct CreateSessionBody {
    /// The files that will come.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::FileDeclarations))]
    pub files: Option<Vec<FileBody>>,
}

impl CreateSessionBody {
    /// Checks the files: their number first, then each of them, then what a session needs.
    ///
    /// # Errors
    /// Any kind of [`Declaration::parse`] and [`check_declared`].
    pub fn check(&self, limits: &FileLimits) -> Result<Vec<Declaration>, ErrorKind> {
        let mut absent = Absent::default();
        let Some(files) = absent.require(self.files.as_ref(), "/files") else { return Err(absent.kind()) };
        if files.len() as u64 > limits.files_max {
            return Err(ErrorKind::FileCountExceeded { limit: limits.files_max });
        }
        let mut errors = Vec::new();
        let mut declared = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            match file.declaration(limits, &format!("/files/{index}")) {
                Ok(file) => declared.push(file),
                Err(ErrorKind::Invalid { errors: more }) => errors.extend(more),
                Err(kind) => return Err(kind),
            }
        }
        if !errors.is_empty() {
            errors.truncate(VALIDATION_ERRORS_MAX);
            return Err(ErrorKind::Invalid { errors });
        }
        check_declared(&declared, limits)?;
        Ok(declared)
    }
}

/// Body of `POST /sessions/:sessionId/files`: the long form of a file, or the short one with
/// `fileKey` and `fileSizeBytes`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisterFileBody {
    #[serde(flatten)]
    pub file: FileBody,
    /// Short form: the file's name; its type and category follow from the extension.
    pub file_key: Option<String>,
    /// Short form: its size, in bytes.
    pub file_size_bytes: Option<u64>,
    /// How many presigned part URLs are wished for.
    pub part_count: Option<u64>,
    /// What the file's checksums are.
    pub checksums: Option<ChecksumsBody>,
}

/// Checksums of a file, in hex of either case.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Checksums))]
pub struct ChecksumsBody {
    /// MD5 (RFC 1321).
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Md5>))]
    pub md5: Option<String>,
    /// SHA-256 (FIPS 180-4).
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Sha256>))]
    pub sha256: Option<String>,
}

impl ChecksumsBody {
    fn check(&self) -> Result<Checksums, ErrorKind> {
        let mut errors = Vec::new();
        let md5 = hex(self.md5.as_deref(), "/checksums/md5", "must be 32 hex digits", &mut errors);
        let sha256 = hex(self.sha256.as_deref(), "/checksums/sha256", "must be 64 hex digits", &mut errors);
        if errors.is_empty() { Ok(Checksums { md5, sha256 }) } else { Err(ErrorKind::Invalid { errors }) }
    }
}

fn hex<const N: usize>(
    text: Option<&str>,
    pointer: &str,
    problem: &str,
    errors: &mut Vec<FieldError>,
) -> Option<[u8; N]> {
    let bytes = from_hex(text?);
    if bytes.is_none() {
        errors.push(FieldError::new(pointer, problem));
    }
    bytes
}

impl RegisterFileBody {
    /// Checks the file, and reads how many presigned URLs are wished for.
    ///
    /// # Errors
    /// Any kind of [`Declaration::parse`], and [`ErrorKind::Invalid`] for checksums that are none.
    pub fn check(&self, limits: &FileLimits) -> Result<(Declaration, u16), ErrorKind> {
        let (declared, presigned) = self.declared(limits)?;
        let checksums = self.checksums.as_ref().map(ChecksumsBody::check).transpose()?.unwrap_or_default();
        Ok((Declaration { checksums, ..declared }, presigned))
    }

    fn declared(&self, limits: &FileLimits) -> Result<(Declaration, u16), ErrorKind> {
        let presigned = self.part_count.unwrap_or(0);
        let presigned = u16::try_from(presigned).ok().filter(|count| *count <= PART_NUMBER_MAX);
        let Some(presigned) = presigned else {
            let errors = vec![FieldError::new("/partCount", "must be at most 10000")];
            return Err(ErrorKind::Invalid { errors });
        };
        let Some(name) = self.file_key.as_deref() else {
            return Ok((self.file.declaration(limits, "")?, presigned));
        };
        let mut absent = Absent::default();
        let Some(size_bytes) = absent.require(self.file_size_bytes, "/fileSizeBytes") else {
            return Err(absent.kind());
        };
        let raw = RawDeclaration {
            category: self.file.category.as_deref(),
            name,
            size_bytes,
            media_type: self.file.media_type.as_deref(),
            extension: self.file.ext.as_deref(),
        };
        Ok((Declaration::parse(&raw, limits, "", &SHORT)?, presigned))
    }
}

/// Body of `POST …/complete`, which may also be absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CompleteFile))]
pub struct CompleteFileBody {
    /// The parts as the client knows them.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::ClaimedParts>))]
    pub parts: Option<Vec<PartBody>>,
}

/// A part as the client knows it.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ClaimedPart))]
#[serde(rename_all = "camelCase")]
pub struct PartBody {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::PartNumber))]
    pub part_number: u64,
    /// With or without quotes.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::AnyETag))]
    pub etag: String,
}

impl CompleteFileBody {
    /// The parts, or `None` if the client leaves them to the server.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPartNumber`], or [`ErrorKind::Invalid`] for an ETag that is none or a part
    /// that is named twice.
    pub fn check(&self) -> Result<Option<Vec<ClaimedPart>>, ErrorKind> {
        let Some(parts) = &self.parts else { return Ok(None) };
        let mut errors = Vec::new();
        let mut checked: Vec<ClaimedPart> = Vec::with_capacity(parts.len().min(usize::from(PART_NUMBER_MAX)));
        for (index, part) in parts.iter().enumerate() {
            let number =
                PartNumber::new(part.part_number).ok_or(ErrorKind::InvalidPartNumber { last: PART_NUMBER_MAX })?;
            match ETag::parse(&part.etag) {
                Some(etag) => checked.push(ClaimedPart { number, etag, index }),
                None => errors.push(FieldError::new(format!("/parts/{index}/etag"), "must be an ETag")),
            }
        }
        checked.sort_by_key(|part| part.number);
        if checked.windows(2).any(|pair| matches!(pair, [a, b] if a.number == b.number)) {
            errors.push(FieldError::new("/parts", "must not list a part twice"));
        }
        errors.truncate(VALIDATION_ERRORS_MAX);
        if errors.is_empty() { Ok(Some(checked)) } else { Err(ErrorKind::Invalid { errors }) }
    }
}

/// Body of `POST /finalize`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Finalize))]
#[serde(rename_all = "camelCase")]
pub struct FinalizeBody {
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::value::Id))]
    pub upload_session_id: Option<String>,
    /// The MOC's title.
    #[cfg_attr(feature = "openapi", schema(inline, value_type = crate::openapi::value::Title))]
    pub title: Option<String>,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Description>))]
    pub description: Option<String>,
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Tags>))]
    pub tags: Option<Vec<String>>,
    #[cfg_attr(feature = "openapi", schema(inline, value_type = Option<crate::openapi::value::Theme>))]
    pub theme: Option<String>,
}

impl FinalizeBody {
    /// Checks what the user says of the MOC.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every field that is wrong.
    pub fn check(&self) -> Result<(SessionId, Description), ErrorKind> {
        let mut absent = Absent::default();
        let session = absent.require(self.upload_session_id.as_deref(), "/uploadSessionId");
        let title = absent.require(self.title.as_deref(), "/title");
        let (Some(session), Some(title)) = (session, title) else { return Err(absent.kind()) };
        let tags = self.tags.as_deref().unwrap_or_default();
        let described = Description::parse(title, self.description.as_deref(), tags, self.theme.as_deref());
        match (SessionId::parse(session), described) {
            (Some(session), described) => Ok((session, described?)),
            (None, described) => {
                let mut errors = vec![FieldError::new("/uploadSessionId", "must be a UUID")];
                if let Err(ErrorKind::Invalid { errors: more }) = described {
                    errors.extend(more);
                }
                Err(ErrorKind::Invalid { errors })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FileLimits =
        FileLimits { instruction_max_mib: 50, parts_list_max_mib: 5, image_max_mib: 10, files_max: 3 };

    fn pointers<T>(result: Result<T, ErrorKind>) -> Vec<String> {
        match result {
            Err(ErrorKind::Invalid { errors }) => errors.into_iter().map(|error| error.pointer).collect(),
            _ => vec!["not invalid".into()],
        }
    }

    #[test]
    fn what_is_not_json_is_malformed_and_what_has_the_wrong_type_is_invalid() {
        let body = |text: &str| read::<CreateSessionBody>(&mut text.as_bytes().to_vec());
        assert!(matches!(body(""), Err(ErrorKind::EmptyBody)));
        for text in ["{", "{}x", "malformed", "{\"files\":[{]}"] {
            assert!(matches!(body(text), Err(ErrorKind::MalformedBody { .. })), "{text}");
        }
        assert_eq!(pointers(body("{\"files\":[{\"size\":-1}]}")), ["/files/0/size"]);
        assert_eq!(pointers(body("7")), [""]);
        assert_eq!(pointers(body(" [[]]")), [""]);
        assert_eq!(pointers(body("{\"files\":7}")), ["/files"]);
    }

    #[test]
    fn half_a_character_is_read_as_the_replacement_character() {
        let finalize = r#"{"title":"Castle \ud83d","description":"\udff0","tags":["\ud83d"],"theme":"\ud83d\ud83d"}"#;
        let body: FinalizeBody = read(&mut finalize.as_bytes().to_vec()).unwrap();
        assert_eq!(body.title.as_deref(), Some("Castle \u{fffd}"));
        assert_eq!(body.description.as_deref(), Some("\u{fffd}"));
        assert_eq!(body.tags.as_deref(), Some(["\u{fffd}".to_owned()].as_slice()));
        assert_eq!(body.theme.as_deref(), Some("\u{fffd}\u{fffd}"));
        let register = r#"{"fileKey":"\ud83d.pdf","fileSizeBytes":9,"unknown":"\udff0"}"#;
        let body: RegisterFileBody = read(&mut register.as_bytes().to_vec()).unwrap();
        assert_eq!(body.file_key.as_deref(), Some("\u{fffd}.pdf"));
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_malformed() {
        for text in
            [b"{\"title\":\"\xff\"}".as_slice(), b"{\"title\":\"\xed\xa0\xbd\"}", b"{\"\xff\":1}", b"\xff\xfe{\0}\0"]
        {
            let read = read::<FinalizeBody>(&mut text.to_vec());
            assert!(matches!(read, Err(ErrorKind::MalformedBody { .. })), "{text:?}: {read:?}");
        }
    }

    #[test]
    fn absent_members_are_all_named() {
        let body =
            |text: &str| read::<CreateSessionBody>(&mut text.as_bytes().to_vec()).and_then(|body| body.check(&LIMITS));
        assert_eq!(pointers(body("{}")), ["/files"]);
        let files = "{\"files\":[{\"name\":\"a.pdf\",\"size\":1},{\"category\":\"image\"}]}";
        let missing = ["/files/0/category", "/files/0/type", "/files/1/name", "/files/1/size", "/files/1/type"];
        assert_eq!(pointers(body(files)), missing);
        let finalize = read::<FinalizeBody>(&mut b"{}".to_vec()).and_then(|body| body.check());
        assert_eq!(pointers(finalize), ["/uploadSessionId", "/title"]);
    }

    #[test]
    fn both_forms_of_register_are_read() {
        let body =
            |text: &str| read::<RegisterFileBody>(&mut text.as_bytes().to_vec()).and_then(|body| body.check(&LIMITS));
        let long =
            "{\"category\":\"instruction\",\"name\":\"a.pdf\",\"size\":9,\"type\":\"application/pdf\",\"partCount\":2}";
        let short = "{\"fileKey\":\"a.pdf\",\"fileSizeBytes\":9}";
        let (long, short) = (body(long), body(short));
        assert_eq!(long.as_ref().map(|(_, count)| *count), Ok(2));
        assert_eq!(long.map(|(file, _)| file), short.map(|(file, _)| file));
        assert_eq!(pointers(body("{\"fileKey\":\"a.pdf\"}")), ["/fileSizeBytes"]);
        assert_eq!(pointers(body("{\"fileKey\":\"a.pdf\",\"fileSizeBytes\":0}")), ["/fileSizeBytes"]);
        assert_eq!(pointers(body("{\"fileKey\":\"a.pdf\",\"fileSizeBytes\":1,\"partCount\":10001}")), ["/partCount"]);
    }

    #[test]
    fn sorts_parts_of_complete_and_rejects_duplicates() {
        let body = |text: &str| read::<CompleteFileBody>(&mut text.as_bytes().to_vec()).and_then(|body| body.check());
        assert_eq!(body("{}"), Ok(None));
        let numbers = body("{\"parts\":[{\"partNumber\":2,\"etag\":\"b\"},{\"partNumber\":1,\"etag\":\"\\\"a\\\"\"}]}")
            .map(|parts| {
                parts.map(|parts| {
                    parts.iter().map(|p| (p.number.get(), p.etag.to_string(), p.index)).collect::<Vec<_>>()
                })
            });
        assert_eq!(numbers, Ok(Some(vec![(1, "a".into(), 1), (2, "b".into(), 0)])));
        let twice = "{\"parts\":[{\"partNumber\":1,\"etag\":\"a\"},{\"partNumber\":1,\"etag\":\"\"}]}";
        assert_eq!(pointers(body(twice)), ["/parts/1/etag"]);
        let zero = "{\"parts\":[{\"partNumber\":0,\"etag\":\"a\"}]}";
        assert_eq!(body(zero), Err(ErrorKind::InvalidPartNumber { last: 10_000 }));
        let wrong = "{\"partNumber\":1,\"etag\":\"\"},".repeat(VALIDATION_ERRORS_MAX);
        let twice = "{\"partNumber\":1,\"etag\":\"a\"},{\"partNumber\":1,\"etag\":\"a\"}";
        assert_eq!(pointers(body(&format!("{{\"parts\":[{wrong}{twice}]}}"))).len(), VALIDATION_ERRORS_MAX);
    }
}
