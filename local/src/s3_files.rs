//! s3s-fs, adapted to S3 in seven points: long keys, lists of uploads, uploads that no longer exist, the pages of ListParts, completions
//! with the wrong parts, objects that are being completed, and parts with the wrong bytes.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use md5::{Digest as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CopyObjectInput, CopyObjectOutput, CopySource, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, ETag, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListMultipartUploadsInput,
    ListMultipartUploadsOutput, ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, Part,
    PutObjectInput, PutObjectOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use sha2::Sha256;
use tokio::sync::RwLock;

use crate::s3_digest::{Differs, verified, verified_by_trailer};
use crate::s3_lists::open_uploads;

/// Longest name of a file, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// What s3s-fs adds to bucket and key in such a name: `.bucket-`, `.object-`, `.upload-<UUID>`, `.metadata.json`.
const ADDED_BYTES: usize = 8 + 8 + 44 + 14;
/// Smallest part that is not the last of its upload, in bytes.
const PART_MIN_BYTES: u64 = 5 << 20;
/// Most parts of a page of `ListParts`.
const PAGE_PARTS_MAX: usize = 1_000;

/// The files of the embedded S3.
pub struct Files {
    files: FileSystem,
    root: PathBuf,
    /// s3s-fs gives an object its ETag a moment after it is there: nobody looks while one is completed.
    completion: RwLock<()>,
}

impl Files {
    /// The files below `root`.
    pub fn new(files: FileSystem, root: PathBuf) -> Self {
        Self { files, root, completion: RwLock::default() }
    }

    fn check_upload(&self, upload_id: &str) -> S3Result<()> {
        let exists = self.root.join(format!(".upload-{upload_id}.json")).exists();
        if exists { Ok(()) } else { Err(S3ErrorCode::NoSuchUpload.into()) }
    }

    fn part(&self, upload_id: &str, number: i32) -> PathBuf {
        self.root.join(format!(".upload_id-{upload_id}.part-{number}"))
    }

    /// s3s-fs deletes an upload before it looks at its parts, and ignores their ETags.
    fn check_completion(&self, upload_id: &str, parts: &[CompletedPart]) -> S3Result<()> {
        self.check_upload(upload_id)?;
        let mut previous = 0;
        for (index, part) in parts.iter().enumerate() {
            let number = part.part_number.unwrap_or_default();
            if number <= previous {
                return Err(S3ErrorCode::InvalidPartOrder.into());
            }
            previous = number;
            let path = self.part(upload_id, number);
            let Ok(stored) = path.metadata() else { return Err(S3ErrorCode::InvalidPart.into()) };
            if part.e_tag != Some(ETag::Strong(md5_of(&path)?)) {
                return Err(S3ErrorCode::InvalidPart.into());
            }
            let is_last = index + 1 == parts.len();
            if stored.len() < PART_MIN_BYTES && !is_last {
                return Err(S3ErrorCode::EntityTooSmall.into());
            }
        }
        Ok(())
    }

    /// s3s-fs lists the parts of an upload that does not exist, in no order, all at once, and without ETags.
    fn page(&self, upload_id: &str, after: i32, max: i32, mut parts: Vec<Part>) -> S3Result<ListPartsOutput> {
        self.check_upload(upload_id)?;
        parts.retain(|part| part.part_number > Some(after));
        parts.sort_by_key(|part| part.part_number);
        let page = usize::try_from(max).unwrap_or(0).min(PAGE_PARTS_MAX);
        let is_truncated = parts.len() > page;
        parts.truncate(page);
        for part in &mut parts {
            let number = part.part_number.unwrap_or_default();
            part.e_tag = Some(ETag::Strong(md5_of(&self.part(upload_id, number))?));
        }
        Ok(ListPartsOutput {
            is_truncated: Some(is_truncated),
            max_parts: Some(max),
            next_part_number_marker: parts.last().and_then(|part| part.part_number).filter(|_| is_truncated),
            part_number_marker: Some(after),
            parts: Some(parts),
            ..ListPartsOutput::default()
        })
    }
}

fn md5_of(path: &Path) -> S3Result<String> {
    // A part is in memory for a moment, here on the developer's machine.
    let part = std::fs::read(path).map_err(|error| S3Error::with_source(S3ErrorCode::InternalError, error.into()))?;
    Ok(hex::encode(Md5::digest(part)))
}

/// s3s-fs puts bucket and key, in base64, into the name of one file. A key that is too long for that stands on disk
/// under its hash.
fn shorten(bucket: &str, key: &mut String) {
    let room = NAME_MAX_BYTES - ADDED_BYTES - bucket.len().div_ceil(3) * 4;
    if key.len() > room / 4 * 3 {
        *key = format!("long/{}", hex::encode(Sha256::digest(key.as_bytes())));
    }
}

/// s3s-fs reports an upload that no longer exists as another user's.
fn no_such_upload(error: S3Error) -> S3Error {
    match error.code() {
        S3ErrorCode::AccessDenied => S3ErrorCode::NoSuchUpload.into(),
        _ => error,
    }
}

macro_rules! operations {
    ($($name:ident($input:ident) -> $output:ident, $error:expr;)*) => {
        #[async_trait]
        impl S3 for Files {
            async fn head_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
                self.files.head_bucket(request).await
            }

            async fn list_objects_v2(
                &self,
                request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                self.files.list_objects_v2(request).await
            }

            async fn copy_object(
                &self,
                mut request: S3Request<CopyObjectInput>,
            ) -> S3Result<S3Response<CopyObjectOutput>> {
                let input = &mut request.input;
                shorten(&input.bucket, &mut input.key);
                if let CopySource::Bucket { bucket, key, .. } = &mut input.copy_source {
                    let mut source = String::from(&**key);
                    shorten(bucket, &mut source);
                    *key = source.into();
                }
                let _settled = self.completion.read().await;
                self.files.copy_object(request).await
            }

            async fn list_multipart_uploads(
                &self,
                request: S3Request<ListMultipartUploadsInput>,
            ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
                tokio::task::block_in_place(|| open_uploads(&self.root, &request.input)).map(S3Response::new)
            }

            async fn list_parts(&self, request: S3Request<ListPartsInput>) -> S3Result<S3Response<ListPartsOutput>> {
                let ListPartsInput { upload_id, part_number_marker, max_parts, .. } = request.input.clone();
                let listed = self.files.list_parts(request).await?.output.parts.unwrap_or_default();
                let (after, max) = (part_number_marker.unwrap_or(0), max_parts.unwrap_or(1_000));
                tokio::task::block_in_place(|| self.page(&upload_id, after, max, listed)).map(S3Response::new)
            }

            async fn complete_multipart_upload(
                &self,
                mut request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let input = &mut request.input;
                let parts = input.multipart_upload.as_ref().and_then(|upload| upload.parts.as_deref());
                tokio::task::block_in_place(|| {
                    self.check_completion(&input.upload_id, parts.unwrap_or_default())
                })?;
                shorten(&input.bucket, &mut input.key);
                let _alone = self.completion.write().await;
                self.files.complete_multipart_upload(request).await.map_err(no_such_upload)
            }

            async fn upload_part(
                &self,
                mut request: S3Request<UploadPartInput>,
            ) -> S3Result<S3Response<UploadPartOutput>> {
                let trailers = request.trailing_headers.clone();
                let input = &mut request.input;
                shorten(&input.bucket, &mut input.key);
                let mut differs = Differs::default();
                if let Some(body) = input.body.take() {
                    let (body, verdict) = match (&input.content_md5, trailers) {
                        (Some(md5), _) => verified(body, md5)?,
                        (None, Some(trailers)) => verified_by_trailer(body, trailers),
                        (None, None) => (body, Differs::default()),
                    };
                    (input.body, differs) = (Some(body), verdict);
                }
                self.files.upload_part(request).await.map_err(|error| differs.or(no_such_upload(error)))
            }

            $(async fn $name(&self, mut request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let input = &mut request.input;
                shorten(&input.bucket, &mut input.key);
                let _settled = self.completion.read().await;
                self.files.$name(request).await.map_err($error)
            })*
        }
    };
}

operations! {
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput, no_such_upload;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput, |error| error;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput, |error| error;
    get_object(GetObjectInput) -> GetObjectOutput, |error| error;
    head_object(HeadObjectInput) -> HeadObjectOutput, |error| error;
    put_object(PutObjectInput) -> PutObjectOutput, |error| error;
}
