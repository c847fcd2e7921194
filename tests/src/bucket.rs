//! Direct access to the bucket.

use std::time::Duration;

use rusty_s3::actions::{ListObjectsV2, S3Action as _};
use rusty_s3::{Bucket as Address, Credentials, UrlStyle};
use url::Url;

/// How long a signature is good for.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// Direct access to the bucket.
#[derive(Clone)]
pub struct Bucket {
    http: reqwest::Client,
    address: Address,
    credentials: Credentials,
}

impl Bucket {
    pub(crate) fn new(s3_url: &str) -> Self {
        let setting = |name: &str, default: &str| {
            let variable = format!("SPIN_VARIABLE_S3_{}", name.to_uppercase());
            std::env::var(variable).ok().filter(|_| crate::Stack::is_elsewhere()).unwrap_or_else(|| default.to_owned())
        };
        let endpoint = Url::parse(s3_url).expect("the S3's URL");
        let (bucket, region) = (setting("bucket", "moc-uploads"), setting("region", "us-east-1"));
        let address = Address::new(endpoint, UrlStyle::Path, bucket, region).expect("a bucket");
        let credentials =
            Credentials::new(setting("access_key_id", "local"), setting("secret_access_key", "local-secret"));
        Self { http: reqwest::Client::new(), address, credentials }
    }

    /// The object of this key.
    pub async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let url = self.address.get_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.http.get(url).send().await.expect("S3 responds");
        if response.status() == 404 {
            return None;
        }
        assert_eq!(response.status(), 200, "GetObject {key}");
        Some(response.bytes().await.expect("the whole object").to_vec())
    }

    /// With quotes.
    pub async fn etag(&self, key: &str) -> Option<String> {
        self.header(key, "etag").await
    }

    /// A header of the object of this key, its name in lower case.
    pub async fn header(&self, key: &str, name: &str) -> Option<String> {
        let url = self.address.head_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.http.head(url).send().await.expect("S3 responds");
        let value = response.headers().get(name)?.to_str().expect("the header is ASCII").to_owned();
        (response.status() == 200).then_some(value)
    }

    /// Puts an object at this key, or replaces it.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) {
        let url = self.address.put_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.http.put(url).body(bytes).send().await.expect("S3 responds");
        assert_eq!(response.status(), 200, "PutObject {key}");
    }

    /// Deletes the object of this key.
    pub async fn delete(&self, key: &str) {
        let url = self.address.delete_object(Some(&self.credentials), key).sign(SIGNED_FOR);
        let response = self.http.delete(url).send().await.expect("S3 responds");
        assert!(response.status().is_success(), "DeleteObject {key}: {}", response.status());
    }

    /// Aborts a multipart upload.
    pub async fn abort(&self, key: &str, upload: &str) {
        let url = self.address.abort_multipart_upload(Some(&self.credentials), key, upload).sign(SIGNED_FOR);
        let response = self.http.delete(url).send().await.expect("S3 responds");
        assert_eq!(response.status(), 204, "AbortMultipartUpload {key}");
    }

    /// The keys that start with this.
    pub async fn list(&self, prefix: &str) -> Vec<String> {
        let mut action = self.address.list_objects_v2(Some(&self.credentials));
        action.with_prefix(prefix);
        let response = self.http.get(action.sign(SIGNED_FOR)).send().await.expect("S3 responds");
        assert_eq!(response.status(), 200, "ListObjectsV2 {prefix}");
        let body = response.text().await.expect("the whole list");
        let list = ListObjectsV2::parse_response(&body).expect("a list of objects");
        list.contents.into_iter().map(|object| object.key).collect()
    }

    /// The key of the only object of a file of `dev-user`, once it is completed.
    pub async fn key_of(&self, session: &str, file: &str) -> String {
        let keys = self.list(&format!("uploads/dev-user/{session}/{file}/")).await;
        let [key] = &keys[..] else { panic!("one object of file {file}, not {keys:?}") };
        key.clone()
    }

    /// The numbers of the parts of an open multipart upload; none if there is no such upload.
    pub async fn parts(&self, key: &str, upload: &str) -> Vec<u16> {
        let url = self.address.list_parts(Some(&self.credentials), key, upload).sign(SIGNED_FOR);
        let body = self.http.get(url).send().await.expect("S3 responds").text().await.expect("the whole list");
        assert!(body.contains("<ListPartsResult") || body.contains("<Code>NoSuchUpload</Code>"), "{body}");
        // By hand: some servers leave out what S3's documentation has as required.
        let numbers = body.split("<PartNumber>").skip(1).map(|rest| rest.split('<').next().unwrap_or_default());
        numbers.map(|number| number.parse().expect("a part number")).collect()
    }

    /// Puts bytes at a presigned URL, and gives S3's ETag.
    pub async fn put_presigned(&self, url: &str, bytes: Vec<u8>) -> String {
        let response = self.http.put(url).body(bytes).send().await.expect("S3 responds");
        assert_eq!(response.status(), 200, "UploadPart by a presigned URL");
        response.headers()["etag"].to_str().expect("an ETag is ASCII").to_owned()
    }
}
