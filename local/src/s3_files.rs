//! s3s-fs, adapted to S3 in two points: long keys, and uploads that no longer exist.

use async_trait::async_trait;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CreateMultipartUploadInput, CreateMultipartUploadOutput, DeleteObjectInput, DeleteObjectOutput, GetObjectInput,
    GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, ListPartsInput, ListPartsOutput, PutObjectInput, PutObjectOutput, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use sha2::{Digest, Sha256};

/// Longest name of a file, in bytes.
const NAME_MAX_BYTES: usize = 255;
/// What s3s-fs adds to bucket and key in such a name: `.bucket-`, `.object-`, `.upload-<UUID>`, `.metadata.json`.
const ADDED_BYTES: usize = 8 + 8 + 44 + 14;

/// The files of the embedded S3.
pub struct Files(pub FileSystem);

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
                self.0.head_bucket(request).await
            }

            async fn list_objects_v2(
                &self,
                request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                self.0.list_objects_v2(request).await
            }

            $(async fn $name(&self, mut request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let input = &mut request.input;
                shorten(&input.bucket, &mut input.key);
                self.0.$name(request).await.map_err($error)
            })*
        }
    };
}

operations! {
    abort_multipart_upload(AbortMultipartUploadInput) -> AbortMultipartUploadOutput, no_such_upload;
    complete_multipart_upload(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput, no_such_upload;
    create_multipart_upload(CreateMultipartUploadInput) -> CreateMultipartUploadOutput, |error| error;
    delete_object(DeleteObjectInput) -> DeleteObjectOutput, |error| error;
    get_object(GetObjectInput) -> GetObjectOutput, |error| error;
    head_object(HeadObjectInput) -> HeadObjectOutput, |error| error;
    list_parts(ListPartsInput) -> ListPartsOutput, no_such_upload;
    put_object(PutObjectInput) -> PutObjectOutput, |error| error;
    upload_part(UploadPartInput) -> UploadPartOutput, no_such_upload;
}
