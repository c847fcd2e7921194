//! Files of a session, from their declaration to their completion.

use crate::category::Category;
use crate::checksum::{Checksums, Mismatch};
use crate::content::Content;
use crate::error::{ErrorKind, FieldError, FileFailure, FileFault};
use crate::etag::ETag;
use crate::format::Format;
use crate::id::{FileId, SessionId, UserId};
use crate::limits::{MEDIA_TYPE_MAX_BYTES, MIB};
use crate::name::FileName;
use crate::part::{PartNumber, PartPlan};
use crate::time::Timestamp;

pub use crate::rejection::Rejection;

/// How large a file of each category may be, and how many a session may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimits {
    /// Largest instruction, in MiB.
    pub instruction_max_mib: u64,
    /// Largest parts list, in MiB.
    pub parts_list_max_mib: u64,
    /// Largest image or thumbnail, in MiB.
    pub image_max_mib: u64,
    /// Most files of one session.
    pub files_max: u64,
}

impl FileLimits {
    /// The largest file of a category, in bytes.
    #[must_use]
    pub const fn max_bytes(&self, category: Category) -> u64 {
        let mib = match category {
            Category::Instruction => self.instruction_max_mib,
            Category::PartsList => self.parts_list_max_mib,
            Category::Image | Category::Thumbnail => self.image_max_mib,
        };
        mib.saturating_mul(MIB)
    }
}

/// What a client declares about a file, unchecked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawDeclaration<'a> {
    /// The category; if absent, it follows from the name.
    pub category: Option<&'a str>,
    /// The file's name.
    pub name: &'a str,
    pub size_bytes: u64,
    /// If absent, it follows from the name.
    pub media_type: Option<&'a str>,
    /// The extension, if the client declares it separately.
    pub extension: Option<&'a str>,
}

/// A declared file that passed every check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// What it is for.
    pub category: Category,
    /// For the record; the object key has its own form.
    pub name: FileName,
    /// In bytes, at least 1.
    pub size_bytes: u64,
    /// The declared content; its bytes are checked at finalize.
    pub content: Content,
    /// The checksums that the client announced.
    pub checksums: Checksums,
}

/// Names of the fields of a declaration, as JSON Pointers (RFC 6901), for a response's errors.
#[derive(Clone, Copy, Debug)]
pub struct Pointers {
    pub category: &'static str,
    pub name: &'static str,
    pub size: &'static str,
    pub media_type: &'static str,
}

impl Declaration {
    /// Checks what a client says of a file. `prefix` stands before the pointers of its errors.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with every field that is wrong, [`ErrorKind::UnsupportedMediaType`], or
    /// [`ErrorKind::FileTooLarge`].
    pub fn parse(
        raw: &RawDeclaration<'_>,
        limits: &FileLimits,
        prefix: &str,
        pointers: &Pointers,
    ) -> Result<Self, ErrorKind> {
        let mut errors = Vec::new();
        let mut wrong =
            |pointer: &str, message: &str| errors.push(FieldError::new(format!("{prefix}{pointer}"), message));

        let name = FileName::parse(raw.name).map_err(|message| wrong(pointers.name, message)).ok();
        if raw.size_bytes == 0 {
            wrong(pointers.size, "must be at least 1");
        }
        if raw.media_type.is_some_and(|media_type| media_type.len() > MEDIA_TYPE_MAX_BYTES) {
            wrong(pointers.media_type, "must have at most 127 bytes");
        }
        let category = raw.category.and_then(Category::parse);
        if raw.category.is_some() && category.is_none() {
            wrong(pointers.category, "must be instruction, parts-list, image or thumbnail");
        }
        let (Some(name), true) = (name, errors.is_empty()) else { return Err(ErrorKind::Invalid { errors }) };

        let extensions = [raw.extension.map(|text| text.trim_start_matches('.')), name.extension()];
        let classified = Category::classify(category, raw.media_type, extensions);
        let (category, content) = classified.map_err(|allowed| ErrorKind::UnsupportedMediaType { allowed })?;
        let limit_bytes = limits.max_bytes(category);
        if raw.size_bytes > limit_bytes {
            return Err(ErrorKind::FileTooLarge { limit_bytes });
        }
        Ok(Self { category, name, size_bytes: raw.size_bytes, content, checksums: Checksums::default() })
    }
}

/// Checks the files that a session is created for.
///
/// # Errors
/// [`ErrorKind::FileCountExceeded`] or [`ErrorKind::InstructionFileRequired`].
pub fn check_declared(files: &[Declaration], limits: &FileLimits) -> Result<(), ErrorKind> {
    if files.len() as u64 > limits.files_max {
        return Err(ErrorKind::FileCountExceeded { limit: limits.files_max });
    }
    if !files.iter().any(|file| file.category == Category::Instruction) {
        return Err(ErrorKind::InstructionFileRequired);
    }
    Ok(())
}

/// A file that was registered: one S3 multipart upload, then one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub id: FileId,
    /// The session that it belongs to.
    pub session_id: SessionId,
    /// What it is for.
    pub category: Category,
    /// The name that the client gave it.
    pub name: String,
    /// The content that it was declared to have.
    pub content: Content,
    /// The key of the object in the bucket.
    pub key: String,
    /// The S3 multipart upload that makes it.
    pub upload_id: String,
    /// In bytes, as declared at registration.
    pub size_bytes: u64,
    /// How it is split into parts.
    pub plan: PartPlan,
    /// How many different parts are stored.
    pub parts_completed: u16,
    pub bytes_completed: u64,
    /// The object's ETag; a file that has one is completed.
    pub etag: Option<ETag>,
    /// The checksums that the client announced.
    pub checksums: Checksums,
    /// The SHA-256 of the part that was recorded last, where it was computed as it streamed.
    pub last_part_sha256: Option<[u8; 32]>,
    /// Whether a finalize has found that it is not what it was declared to be: a new registration
    /// takes its place.
    pub rejected: bool,
    /// Why, unless an earlier version of this service has rejected it.
    pub rejection: Option<Rejection>,
    /// The ETag of its object when a read of all its bytes has shown that they are right.
    pub verified_etag: Option<ETag>,
    /// When a completion of it was first requested, if one was: the bucket may be working on it.
    pub completing_at: Option<Timestamp>,
    /// Whether some of its parts were recorded at a client's word, or as the bucket listed them: it is asked again
    /// before it completes the file.
    pub has_claims: bool,
    /// When it was registered.
    pub created_at: Timestamp,
}

impl File {
    /// Whether it is completed: its object is in the bucket.
    #[must_use]
    pub const fn is_completed(&self) -> bool {
        self.etag.is_some()
    }

    /// Whether the bucket may still be completing it: a completion was requested, and not `timeout_ms` ago.
    #[must_use]
    pub fn is_completing(&self, now: Timestamp, timeout_ms: i64) -> bool {
        !self.is_completed() && self.completing_at.is_some_and(|since| now.millis_since(since) < timeout_ms)
    }

    /// Whether the SHA-256 of its parts is wanted as they stream: that of an only part is the file's.
    #[must_use]
    pub fn wants_sha256(&self) -> bool {
        self.checksums.sha256.is_some() && self.plan.total() == 1
    }

    /// The error for a file whose bytes have other checksums than were announced.
    #[must_use]
    pub fn differs(&self, mismatch: Mismatch) -> ErrorKind {
        let Mismatch { algorithm, expected, actual } = mismatch;
        ErrorKind::ChecksumMismatch { algorithm, expected, actual, file_id: self.id }
    }

    /// The error for a file that was rejected.
    #[must_use]
    pub fn rejected_for(&self, rejection: Rejection) -> ErrorKind {
        match rejection {
            Rejection::Fault(fault) => self.failed(fault),
            Rejection::Foreign(format) => self.failed_as(FileFault::ContentMismatch, Some(format)),
            Rejection::Differs(mismatch) => self.differs(mismatch),
        }
    }

    /// The error for a file that has a fault.
    #[must_use]
    pub fn failed(&self, reason: FileFault) -> ErrorKind {
        self.failed_as(reason, None)
    }

    fn failed_as(&self, reason: FileFault, found: Option<Format>) -> ErrorKind {
        let failure = FileFailure {
            file_id: self.id,
            name: self.name.clone(),
            reason,
            declared: self.content,
            size_bytes: self.size_bytes,
            found,
        };
        ErrorKind::FileValidationFailed { failures: vec![failure] }
    }

    /// Checks that a part of `actual_bytes` bytes fits the plan and may still come.
    ///
    /// # Errors
    /// [`ErrorKind::FileAlreadyCompleted`], [`ErrorKind::InvalidPartNumber`] or
    /// [`ErrorKind::PartSizeMismatch`].
    pub fn accepts_part(&self, number: PartNumber, actual_bytes: u64) -> Result<(), ErrorKind> {
        if self.is_completed() {
            return Err(ErrorKind::FileAlreadyCompleted);
        }
        match self.plan.bytes_of(number) {
            None => Err(ErrorKind::InvalidPartNumber { last: self.plan.total() }),
            Some(expected_bytes) if expected_bytes != actual_bytes => {
                Err(ErrorKind::PartSizeMismatch { number, expected_bytes, actual_bytes })
            }
            Some(_) => Ok(()),
        }
    }
}

/// A part that S3 has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredPart {
    pub number: PartNumber,
    pub etag: ETag,
    pub size_bytes: u64,
    /// When it was stored.
    pub uploaded_at: Timestamp,
}

/// How much of a file is stored: different parts, and their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Different parts.
    pub parts_completed: u16,
    pub bytes_completed: u64,
    /// The session's number of the change that this is the result of: the larger one of two is the newer.
    pub sequence: u64,
}

impl Progress {
    /// Of all its parts, in whole per cent: 100 only if all are stored.
    #[must_use]
    pub fn percent_of(self, plan: PartPlan) -> u8 {
        let percent = u32::from(self.parts_completed) * 100 / u32::from(plan.total()).max(1);
        u8::try_from(percent).unwrap_or(100).min(100)
    }
}

/// A part as a client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedPart {
    pub number: PartNumber,
    pub etag: ETag,
    /// Where the client named it, counted from 0.
    pub index: usize,
}

/// The key of a file's object: `uploads/{userId}/{sessionId}/{fileId}/{name}`. The name ends in an extension of
/// `content`, because whatever serves the object, or saves it, goes by that.
#[must_use]
pub fn object_key(user: &UserId, session: SessionId, file: FileId, name: &FileName, content: Content) -> String {
    format!("{}{file}/{}", session_prefix(user, session), name.object_name(content))
}

/// What the keys of a session's objects begin with, and no other key: `uploads/{userId}/{sessionId}/`.
#[must_use]
pub fn session_prefix(user: &UserId, session: SessionId) -> String {
    format!("uploads/{}/{session}/", user.key_segment())
}

/// The ETags of a whole file in part order, or the numbers of the parts that are missing.
///
/// # Errors
/// The missing numbers, in order.
pub fn in_order(plan: PartPlan, parts: &[StoredPart]) -> Result<Vec<ETag>, Vec<u16>> {
    let mut etags: Vec<Option<&ETag>> = vec![None; usize::from(plan.total())];
    for part in parts {
        if let Some(slot) = etags.get_mut(usize::from(part.number.get()) - 1)
            && plan.bytes_of(part.number) == Some(part.size_bytes)
        {
            *slot = Some(&part.etag);
        }
    }
    let missing: Vec<u16> =
        plan.numbers().zip(&etags).filter(|(_, etag)| etag.is_none()).map(|(number, _)| number.get()).collect();
    if missing.is_empty() { Ok(etags.into_iter().flatten().cloned().collect()) } else { Err(missing) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: FileLimits =
        FileLimits { instruction_max_mib: 50, parts_list_max_mib: 5, image_max_mib: 10, files_max: 3 };
    const POINTERS: Pointers = Pointers { category: "/category", name: "/name", size: "/size", media_type: "/type" };

    fn parse(raw: &RawDeclaration<'_>) -> Result<Declaration, ErrorKind> {
        Declaration::parse(raw, &LIMITS, "/files/0", &POINTERS)
    }

    fn pdf() -> RawDeclaration<'static> {
        RawDeclaration {
            category: Some("instruction"),
            name: "castle.pdf",
            size_bytes: 1,
            media_type: Some("application/pdf"),
            extension: None,
        }
    }

    #[test]
    fn only_the_last_part_makes_a_hundred_per_cent() {
        let percent = |parts_completed, total: u16| {
            let plan = PartPlan::new(u64::from(total), 1);
            plan.map(|plan| Progress { parts_completed, bytes_completed: 0, sequence: 0 }.percent_of(plan))
        };
        let of_three: Vec<_> = (0..=3).map(|parts| percent(parts, 3)).collect();
        assert_eq!(of_three, [Some(0), Some(33), Some(66), Some(100)]);
        assert_eq!((percent(9_999, 10_000), percent(10_000, 10_000)), (Some(99), Some(100)));
        assert_eq!((percent(1, 10), percent(1, 1)), (Some(10), Some(100)));
    }

    #[test]
    fn a_name_alone_gives_category_and_content() {
        for (name, category, content) in [
            ("castle.PDF", Category::Instruction, Content::Pdf),
            ("parts.csv", Category::PartsList, Content::Csv),
            ("photo.jpeg", Category::Image, Content::Jpeg),
        ] {
            let declared = parse(&RawDeclaration { name, size_bytes: 1, ..Default::default() });
            assert_eq!(declared.map(|file| (file.category, file.content)), Ok((category, content)));
        }
        let unknown = parse(&RawDeclaration { name: "castle.exe", size_bytes: 1, ..Default::default() });
        assert!(matches!(unknown, Err(ErrorKind::UnsupportedMediaType { allowed }) if allowed.len() == 9));
    }

    /// Neither the long form, nor the short one, nor `ext` gives an object a name of another kind.
    #[test]
    fn a_key_ends_in_an_extension_of_the_content() {
        let key = |raw: &RawDeclaration<'_>| {
            let declared = parse(raw).ok()?;
            let (user, id) = (UserId::parse("alice")?, FileId::new(Timestamp::from_millis(0), [0; 10]));
            let session = SessionId::new(Timestamp::from_millis(0), [0; 10]);
            let key = object_key(&user, session, id, &declared.name, declared.content);
            let (_, name) = key.rsplit_once('/')?;
            Some((declared.content, name.to_owned()))
        };
        let list = RawDeclaration { category: Some("parts-list"), size_bytes: 1, ..Default::default() };
        let csv = RawDeclaration { media_type: Some("text/csv"), ..list.clone() };
        let short = RawDeclaration { category: None, ..csv.clone() };
        for (raw, content, name) in [
            (RawDeclaration { name: "run-me.bat", ..csv.clone() }, Content::Csv, "run-me.bat.csv"),
            (RawDeclaration { name: "x.hta", ..short.clone() }, Content::Csv, "x.hta.csv"),
            (
                RawDeclaration { name: "parts.jar", extension: Some("json"), ..list.clone() },
                Content::Json,
                "parts.jar.json",
            ),
            (RawDeclaration { name: "parts", ..csv.clone() }, Content::Csv, "parts.csv"),
            (RawDeclaration { name: "parts.txt", ..csv.clone() }, Content::Csv, "parts.txt.csv"),
            (RawDeclaration { name: "Parts.CSV", ..short.clone() }, Content::Csv, "Parts.CSV"),
            // `text/plain` is true of every text.
            (RawDeclaration { name: "p.csv", media_type: Some("text/plain"), ..list.clone() }, Content::Csv, "p.csv"),
            (RawDeclaration { name: "p", media_type: Some("text/plain"), ..list.clone() }, Content::Text, "p.txt"),
        ] {
            assert_eq!(key(&raw), Some((content, name.to_owned())), "{raw:?}");
        }
    }

    #[test]
    fn every_wrong_member_is_named() {
        let wrong = RawDeclaration { category: Some("virus"), name: " ", size_bytes: 0, ..pdf() };
        let Err(ErrorKind::Invalid { errors }) = parse(&wrong) else { panic!("must be invalid") };
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/files/0/name", "/files/0/size", "/files/0/category"]);
    }

    #[test]
    fn the_category_decides_types_and_sizes() {
        assert!(parse(&pdf()).is_ok());
        let rejected = |raw: RawDeclaration<'_>| matches!(parse(&raw), Err(ErrorKind::UnsupportedMediaType { .. }));
        assert!(rejected(RawDeclaration { media_type: Some("image/png"), ..pdf() }));
        assert!(rejected(RawDeclaration { name: "castle.png", ..pdf() }));
        assert!(rejected(RawDeclaration { name: "castle", media_type: None, ..pdf() }));
        assert!(parse(&RawDeclaration { name: "castle", ..pdf() }).is_ok());
        assert!(
            parse(&RawDeclaration { name: "castle", media_type: Some(""), extension: Some(".pdf"), ..pdf() }).is_ok()
        );

        // What the name and `ext` say has to fit too, whichever decides.
        assert!(rejected(RawDeclaration { name: "castle.png", extension: Some("pdf"), ..pdf() }));
        assert!(rejected(RawDeclaration { extension: Some("csv"), ..pdf() }));

        let limit_bytes = 50 * MIB;
        assert!(parse(&RawDeclaration { size_bytes: limit_bytes, ..pdf() }).is_ok());
        let large = parse(&RawDeclaration { size_bytes: limit_bytes + 1, ..pdf() });
        assert_eq!(large, Err(ErrorKind::FileTooLarge { limit_bytes }));
    }

    #[test]
    fn a_session_needs_an_instruction_and_few_enough_files() {
        let declared = parse(&pdf()).into_iter();
        let files: Vec<Declaration> = declared.cycle().take(4).collect();
        assert_eq!(check_declared(&files[..3], &LIMITS), Ok(()));
        assert_eq!(check_declared(&files, &LIMITS), Err(ErrorKind::FileCountExceeded { limit: 3 }));
        assert_eq!(check_declared(&[], &LIMITS), Err(ErrorKind::InstructionFileRequired));
    }

    #[test]
    fn missing_parts_are_named_in_order() {
        let Some(plan) = PartPlan::new(25, 10) else { panic!("a plan") };
        let part = |number, size_bytes| {
            Some(StoredPart {
                number: PartNumber::new(number)?,
                etag: ETag::parse(&format!("e{number}"))?,
                size_bytes,
                uploaded_at: Timestamp::from_millis(0),
            })
        };
        let parts = |given: &[(u64, u64)]| given.iter().filter_map(|(n, size)| part(*n, *size)).collect::<Vec<_>>();
        let names = in_order(plan, &parts(&[(3, 5), (1, 10), (2, 10)]))
            .map(|etags| etags.iter().map(|etag| etag.to_string()).collect::<Vec<_>>());
        assert_eq!(names, Ok(vec!["e1".into(), "e2".into(), "e3".into()]));
        assert_eq!(in_order(plan, &parts(&[(2, 10), (3, 4), (9, 10)])), Err(vec![1, 3]));
    }
}
