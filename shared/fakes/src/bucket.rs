//! A bucket in memory with the semantics of S3.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use moc_application::port::{
    Bucket, BucketError, CompletedUpload, KeysPage, ListedPart, ListedUpload, ObjectHead, PartAddress, PartError,
    PartsPage, Scan, Transfer, UploadedPart, UploadsPage,
};
use moc_domain::checksum::Checksums;
use moc_domain::etag::ETag;
use moc_domain::limits::{BUCKET_PAGE_MAX, MIB, PART_SIZE_MIN_MIB};
use moc_domain::object::Object as NamedObject;
use moc_domain::part::PartNumber;
use moc_domain::text::TextCheck;

use crate::hash::{checksums, md5};

/// How a bucket responds to a completion of an upload that it has completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecondCompletion {
    /// S3 `NoSuchUpload`.
    #[default]
    NoSuchUpload,
    /// S3 `InvalidPart`, and `ListParts` lists them still if `lists` is set.
    InvalidPart { lists: bool },
    /// S3 `InvalidPart`, and `ListParts` lists no part until the object is there.
    ListsNothing,
    /// Like the first one, whichever parts are named; S3 `NoSuchUpload` until the object is there.
    Succeeds,
}

/// Where a bucket may differ from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketOptions {
    /// Smallest part before the last one, in bytes.
    pub part_min_bytes: u64,
    /// Entries of one page of a list.
    pub page_parts: usize,
    /// `false` under SSE-KMS, where ETags say nothing of the bytes.
    pub is_etag_of_bytes: bool,
    /// `false` if a completion takes the parts that there are, whatever their ETags.
    pub checks_etags: bool,
    pub second_completion: SecondCompletion,
}

impl Default for BucketOptions {
    /// As S3 without SSE-KMS.
    fn default() -> Self {
        Self {
            part_min_bytes: PART_SIZE_MIN_MIB * MIB,
            page_parts: 1_000,
            is_etag_of_bytes: true,
            checks_etags: true,
            second_completion: SecondCompletion::default(),
        }
    }
}

/// The bytes of a part as a client sends them.
#[derive(Clone, Debug)]
pub struct Body<'a> {
    bytes: Cow<'a, [u8]>,
    is_late: bool,
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self { bytes: bytes.into(), is_late: false }
    }
}

impl From<Vec<u8>> for Body<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes: bytes.into(), is_late: false }
    }
}

impl Body<'_> {
    /// A body that does not arrive in [`Transfer::timeout_ms`].
    #[must_use]
    pub const fn late() -> Self {
        Self { bytes: Cow::Borrowed(&[]), is_late: true }
    }
}

struct Upload {
    key: String,
    media_type: String,
    disposition: String,
    parts: BTreeMap<PartNumber, Vec<u8>>,
}

#[derive(Clone)]
struct Object {
    bytes: Vec<u8>,
    etag: ETag,
    media_type: String,
}

#[derive(Default)]
struct State {
    created: u64,
    uploads: BTreeMap<String, Upload>,
    objects: BTreeMap<String, Object>,
    /// Uploads that were completed.
    completed: BTreeMap<String, Upload>,
    /// Objects of completed uploads that the bucket does not show yet.
    assembling: Vec<(String, Object)>,
    /// Completions on their way to the bucket: key, upload and parts.
    held: Vec<(String, String, Vec<ETag>)>,
}

/// A bucket in memory with the semantics of S3. Clones share it.
#[derive(Clone, Default)]
pub struct MemoryBucket {
    options: BucketOptions,
    state: Rc<RefCell<State>>,
    is_slow: Rc<Cell<bool>>,
    is_held: Rc<Cell<bool>>,
}

impl MemoryBucket {
    #[must_use]
    pub fn new(options: BucketOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Makes the next completion slow, or no longer: its upload ends at once, and its object appears with
    /// [`Self::reveal`].
    pub fn complete_slowly(&self, is_slow: bool) {
        self.is_slow.set(is_slow);
    }

    /// Shows the objects of slow completions.
    pub fn reveal(&self) {
        let mut state = self.state.borrow_mut();
        let assembled = std::mem::take(&mut state.assembling);
        state.objects.extend(assembled);
    }

    /// Shows the object of a slow completion, if `key` has one.
    pub fn reveal_key(&self, key: &str) {
        let mut state = self.state.borrow_mut();
        let assembled: Vec<_> = state.assembling.extract_if(.., |(it, _)| it == key).collect();
        state.objects.extend(assembled);
    }

    /// Holds the next completion up on its way, or no longer: its client hears nothing, and the bucket gets it with
    /// [`Self::deliver`].
    pub fn hold_completion(&self, is_held: bool) {
        self.is_held.set(is_held);
    }

    /// Gives the bucket the completions of a key that were held up.
    pub fn deliver(&self, key: &str) {
        let held: Vec<_> = self.state.borrow_mut().held.extract_if(.., |(it, ..)| it == key).collect();
        // A slow completion that is about to come is another one: nobody would show the object of this one.
        let is_slow = self.is_slow.take();
        for (key, upload_id, parts) in held {
            let _ = self.completed(&key, &upload_id, &parts);
        }
        self.is_slow.set(is_slow);
    }

    /// The keys of all objects, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state.borrow().objects.keys().cloned().collect()
    }

    /// The bytes of an object.
    #[must_use]
    pub fn object(&self, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().objects.get(key).map(|object| object.bytes.clone())
    }

    #[must_use]
    pub fn exists(&self, key: &str) -> bool {
        self.state.borrow().objects.contains_key(key)
    }

    #[must_use]
    pub fn has_upload(&self, upload_id: &str) -> bool {
        self.state.borrow().uploads.contains_key(upload_id)
    }

    /// The key and id of each open upload.
    #[must_use]
    pub fn uploads(&self) -> Vec<(String, String)> {
        self.state.borrow().uploads.iter().map(|(id, upload)| (upload.key.clone(), id.clone())).collect()
    }

    /// `Content-Disposition` of the object that an open upload makes.
    #[must_use]
    pub fn disposition(&self, upload_id: &str) -> Option<String> {
        self.state.borrow().uploads.get(upload_id).map(|upload| upload.disposition.clone())
    }

    /// The bytes of a part of an open upload.
    #[must_use]
    pub fn part(&self, upload_id: &str, number: PartNumber) -> Option<Vec<u8>> {
        self.state.borrow().uploads.get(upload_id)?.parts.get(&number).cloned()
    }

    /// Whether a slow completion has yet to show this object.
    #[must_use]
    pub fn is_assembling(&self, key: &str) -> bool {
        self.state.borrow().assembling.iter().any(|(assembling, _)| assembling == key)
    }

    /// Loses a part of the open uploads of a key, which no bucket may.
    pub fn lose_part(&self, key: &str, number: PartNumber) {
        for upload in self.state.borrow_mut().uploads.values_mut().filter(|upload| upload.key == key) {
            upload.parts.remove(&number);
        }
    }

    /// Ends an upload without a trace, as a bucket's lifecycle rule does.
    pub fn lose_upload(&self, upload_id: &str) {
        self.state.borrow_mut().uploads.remove(upload_id);
    }

    fn etag(&self, bytes: &[u8]) -> ETag {
        self.etag_of_digest(md5(bytes), "")
    }

    /// Under SSE-KMS, another digest than that of the bytes.
    fn etag_of_digest(&self, digest: [u8; 16], suffix: &str) -> ETag {
        etag(if self.options.is_etag_of_bytes { digest } else { md5(&digest) }, suffix)
    }

    fn no_such_upload<'a>(state: &'a State, key: &str, upload_id: &str) -> Result<&'a Upload, BucketError> {
        state.uploads.get(upload_id).filter(|upload| upload.key == key).ok_or(BucketError::NoSuchUpload)
    }

    fn completed(&self, key: &str, upload_id: &str, parts: &[ETag]) -> Result<CompletedUpload, BucketError> {
        let mut state = self.state.borrow_mut();
        let is_etag_of_bytes = self.options.is_etag_of_bytes;
        if state.completed.contains_key(upload_id) {
            return match (self.options.second_completion, state.objects.get(key)) {
                (SecondCompletion::InvalidPart { .. } | SecondCompletion::ListsNothing, _) => {
                    Err(BucketError::InvalidPart("InvalidPart: it is over".into()))
                }
                (SecondCompletion::Succeeds, Some(object)) => {
                    Ok(CompletedUpload { etag: object.etag.clone(), is_etag_of_bytes })
                }
                _ => Err(BucketError::NoSuchUpload),
            };
        }
        let object = self.assembled(Self::no_such_upload(&state, key, upload_id)?, parts)?;
        let etag = object.etag.clone();
        let upload = state.uploads.remove(upload_id);
        state.completed.extend(upload.map(|upload| (upload_id.to_owned(), upload)));
        if self.is_slow.take() {
            state.assembling.push((key.to_owned(), object));
        } else {
            state.objects.insert(key.to_owned(), object);
        }
        Ok(CompletedUpload { etag, is_etag_of_bytes })
    }

    /// The object that S3 makes of an upload.
    fn assembled(&self, upload: &Upload, etags: &[ETag]) -> Result<Object, BucketError> {
        if etags.is_empty() {
            return Err(BucketError::Rejected("MalformedXML: a completion without parts".into()));
        }
        let (mut bytes, mut digests) = (Vec::new(), Vec::new());
        for (number, etag) in (1..).zip(etags) {
            let part = PartNumber::new(number).and_then(|number| upload.parts.get(&number));
            let part = part.filter(|part| !self.options.checks_etags || self.etag(part) == *etag);
            let part = part.ok_or_else(|| BucketError::InvalidPart(format!("InvalidPart: {number}, {etag}")))?;
            if number < etags.len() as u64 && (part.len() as u64) < self.options.part_min_bytes {
                return Err(BucketError::InvalidPart(format!("EntityTooSmall: {number}")));
            }
            bytes.extend_from_slice(part);
            digests.extend(md5(part));
        }
        let etag = self.etag_of_digest(md5(&digests), &format!("-{}", etags.len()));
        Ok(Object { bytes, etag, media_type: upload.media_type.clone() })
    }
}

#[allow(clippy::expect_used, reason = "hex digits are visible ASCII, which is all that an ETag needs")]
fn etag(digest: [u8; 16], suffix: &str) -> ETag {
    ETag::parse(&format!("{}{suffix}", hex::encode(digest))).expect("an ETag")
}

impl Bucket for MemoryBucket {
    type Body<'a> = Body<'a>;

    async fn create_upload(&self, object: NamedObject<'_>) -> Result<String, BucketError> {
        let mut state = self.state.borrow_mut();
        state.created += 1;
        let id = format!("upload-{}", state.created);
        let (key, media_type) = (object.key.to_owned(), object.content.stored_type().to_owned());
        let upload = Upload { key, media_type, disposition: object.disposition(), parts: BTreeMap::new() };
        state.uploads.insert(id.clone(), upload);
        Ok(id)
    }

    async fn upload_part(
        &self,
        part: PartAddress<'_>,
        transfer: &Transfer,
        body: Self::Body<'_>,
    ) -> Result<UploadedPart, PartError> {
        if body.is_late {
            return Err(PartError::TimedOut { elapsed_ms: transfer.timeout_ms });
        }
        let bytes = body.bytes.into_owned();
        if bytes.len() as u64 != transfer.size_bytes {
            return Err(PartError::Interrupted(format!("{} bytes of {}", bytes.len(), transfer.size_bytes)));
        }
        let must_have = transfer.must_have;
        let computed = checksums(
            &bytes,
            transfer.wants_md5 || must_have.md5.is_some(),
            transfer.wants_sha256 || must_have.sha256.is_some(),
        );
        if must_have.check(&computed).is_err() {
            return Err(PartError::Differs(computed));
        }
        let etag = self.etag(&bytes);
        let mut state = self.state.borrow_mut();
        let upload = state.uploads.get_mut(part.upload_id).filter(|upload| upload.key == part.key);
        upload.ok_or(BucketError::NoSuchUpload)?.parts.insert(part.number, bytes);
        Ok(UploadedPart { etag, computed, is_etag_of_bytes: self.options.is_etag_of_bytes })
    }

    async fn list_parts(
        &self,
        key: &str,
        upload_id: &str,
        after: Option<PartNumber>,
    ) -> Result<PartsPage, BucketError> {
        if self.options.second_completion == SecondCompletion::ListsNothing && self.is_assembling(key) {
            return Ok(PartsPage { parts: Vec::new(), next: None });
        }
        let state = self.state.borrow();
        let is_listed = self.options.second_completion == SecondCompletion::InvalidPart { lists: true };
        let upload = match state.completed.get(upload_id).filter(|_| is_listed) {
            Some(upload) => upload,
            None => Self::no_such_upload(&state, key, upload_id)?,
        };
        let mut rest = upload.parts.iter().filter(|(number, _)| after.is_none_or(|after| **number > after));
        let listed = |(number, bytes): (&PartNumber, &Vec<u8>)| ListedPart {
            number: *number,
            size_bytes: bytes.len() as u64,
            etag: self.etag(bytes),
        };
        let parts: Vec<ListedPart> = rest.by_ref().take(self.options.page_parts).map(listed).collect();
        let next = rest.next().and(parts.last()).map(|part| part.number);
        Ok(PartsPage { parts, next })
    }

    async fn complete_upload(
        &self,
        key: &str,
        upload_id: &str,
        parts: &[ETag],
    ) -> Result<CompletedUpload, BucketError> {
        if self.is_held.take() {
            self.state.borrow_mut().held.push((key.to_owned(), upload_id.to_owned(), parts.to_vec()));
            return Err(BucketError::Silent("held up".into()));
        }
        self.completed(key, upload_id, parts)
    }

    async fn abort_upload(&self, key: &str, upload_id: &str) -> Result<(), BucketError> {
        let mut state = self.state.borrow_mut();
        Self::no_such_upload(&state, key, upload_id)?;
        state.uploads.remove(upload_id);
        Ok(())
    }

    async fn head(&self, key: &str) -> Result<Option<ObjectHead>, BucketError> {
        let state = self.state.borrow();
        Ok(state.objects.get(key).map(|object| ObjectHead {
            size_bytes: object.bytes.len() as u64,
            etag: object.etag.clone(),
            is_etag_of_bytes: self.options.is_etag_of_bytes,
            media_type: Some(object.media_type.clone()),
        }))
    }

    async fn read(&self, key: &str, offset: u64, bytes: u64) -> Result<Option<Vec<u8>>, BucketError> {
        let state = self.state.borrow();
        let Some(object) = state.objects.get(key) else { return Ok(None) };
        let [offset, bytes] = [offset, bytes].map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Some(object.bytes.iter().skip(offset).take(bytes).copied().collect()))
    }

    async fn scan(&self, key: &str, wanted: &Checksums) -> Result<Option<Scan>, BucketError> {
        let state = self.state.borrow();
        let scan = |object: &Object| {
            let mut text = TextCheck::default();
            text.push(&object.bytes);
            let checksums = checksums(&object.bytes, wanted.md5.is_some(), wanted.sha256.is_some());
            Scan { checksums, charset: text.finish() }
        };
        Ok(state.objects.get(key).map(scan))
    }

    async fn put(&self, key: &str, media_type: &str, bytes: &[u8]) -> Result<(), BucketError> {
        let object = Object { bytes: bytes.to_vec(), etag: self.etag(bytes), media_type: media_type.to_owned() };
        self.state.borrow_mut().objects.insert(key.to_owned(), object);
        Ok(())
    }

    async fn retype(&self, object: NamedObject<'_>, media_type: &str) -> Result<ETag, BucketError> {
        let mut state = self.state.borrow_mut();
        let missing = || BucketError::Rejected("NoSuchKey".into());
        let object = state.objects.get_mut(object.key).ok_or_else(missing)?;
        // A copy is stored as one part.
        let etag = self.etag(&object.bytes);
        (object.etag, object.media_type) = (etag.clone(), media_type.to_owned());
        Ok(etag)
    }

    async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.state.borrow_mut().objects.remove(key);
        Ok(())
    }

    async fn list_uploads(&self, prefix: &str) -> Result<UploadsPage, BucketError> {
        let mut uploads = self.uploads();
        uploads.retain(|(key, _)| key.starts_with(prefix));
        uploads.sort_unstable();
        let page = self.options.page_parts.min(BUCKET_PAGE_MAX);
        let is_truncated = uploads.len() > page;
        let uploads = uploads.into_iter().take(page).map(|(key, id)| ListedUpload { key, id }).collect();
        Ok(UploadsPage { uploads, is_truncated })
    }

    async fn list_keys(&self, prefix: &str, after: Option<&str>) -> Result<KeysPage, BucketError> {
        let mut keys = self.keys();
        keys.retain(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        let page = self.options.page_parts.min(BUCKET_PAGE_MAX);
        let is_truncated = keys.len() > page;
        keys.truncate(page);
        Ok(KeysPage { keys, is_truncated })
    }

    fn presign_part(&self, part: PartAddress<'_>, size_bytes: u64, md5: Option<[u8; 16]>, ttl_seconds: u64) -> String {
        let PartAddress { key, upload_id, number } = part;
        let headers = if md5.is_some() { "content-length%3Bcontent-md5%3Bhost" } else { "content-length%3Bhost" };
        let md5 = md5.map(hex::encode).unwrap_or_default();
        let signed = format!("X-Amz-Expires={ttl_seconds}&X-Amz-SignedHeaders={headers}&size={size_bytes}&md5={md5}");
        format!("https://bucket.example/{key}?{signed}&partNumber={}&uploadId={upload_id}", number.get())
    }

    fn part_etag(&self, md5: [u8; 16]) -> ETag {
        etag(md5, "")
    }

    fn object_etag(&self, parts: &[ETag]) -> Option<ETag> {
        let digest = |etag: &ETag| hex::decode(etag.as_str()).ok().filter(|digest| digest.len() == 16);
        let digests: Vec<Vec<u8>> = parts.iter().map(digest).collect::<Option<_>>()?;
        Some(etag(md5(&digests.concat()), &format!("-{}", parts.len())))
    }
}
