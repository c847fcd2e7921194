//! Puts objects into the bucket.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use moc_domain::content::Content;
use moc_domain::etag::ETag;
use moc_domain::object::Object;
use rusty_s3::{Credentials, S3Action as _, UrlStyle};
use ureq::Agent;
use url::Url;

/// How long a signature holds; each is used at once.
const SIGNATURE_LIFETIME: Duration = Duration::from_mins(1);
/// The most that one object may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
/// The most of an error's body that is shown, in characters.
const ERROR_MAX_CHARS: usize = 300;

/// The bucket's variables, as the app has them; the defaults are the embedded S3's.
#[derive(clap::Args)]
pub struct BucketOptions {
    /// Its region
    #[arg(long, env = "SPIN_VARIABLE_S3_REGION", default_value = "us-east-1")]
    region: String,
    /// Its name
    #[arg(long, env = "SPIN_VARIABLE_S3_BUCKET", default_value = "moc-uploads")]
    bucket: String,
    /// Access key
    #[arg(long, env = "SPIN_VARIABLE_S3_ACCESS_KEY_ID", default_value = "local")]
    access_key_id: String,
    /// Secret of the access key
    #[arg(long, env = "SPIN_VARIABLE_S3_SECRET_ACCESS_KEY", default_value = "local-secret", hide_env_values = true)]
    secret_access_key: String,
}

/// A bucket that can be written to.
pub struct Bucket {
    bucket: rusty_s3::Bucket,
    credentials: Credentials,
    agent: Agent,
}

impl Bucket {
    /// The bucket on the server at `endpoint`, in path style. Sends nothing yet.
    pub fn new(endpoint: Url, options: &BucketOptions) -> Result<Self> {
        let bucket = rusty_s3::Bucket::new(endpoint, UrlStyle::Path, options.bucket.clone(), options.region.clone())
            .context("the S3 server's address is not one that a bucket can have")?;
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(REQUEST_LIMIT)).build();
        Ok(Self {
            bucket,
            credentials: Credentials::new(options.access_key_id.clone(), options.secret_access_key.clone()),
            agent: Agent::new_with_config(config),
        })
    }

    /// Writes an object and gives the `ETag` that S3 gave it.
    pub fn put(&self, key: &str, content: Content, object: &[u8]) -> Result<ETag> {
        let url = self.bucket.put_object(Some(&self.credentials), key).sign(SIGNATURE_LIFETIME);
        let name = key.rsplit('/').next().unwrap_or_default();
        let disposition = Object { key, content, name }.disposition();
        let request = self.agent.put(url.as_str()).content_type(content.stored_type());
        let request = request.header("content-disposition", disposition);
        let mut response = request.send(object).with_context(|| self.unreachable())?;
        if !response.status().is_success() {
            let text = response.body_mut().read_to_string().unwrap_or_default();
            let text: String = text.chars().take(ERROR_MAX_CHARS).collect();
            bail!("the S3 server rejected the object {key}: {} {text}", response.status());
        }
        let etag = response.headers().get("etag").and_then(|value| value.to_str().ok());
        etag.and_then(ETag::parse).context("the S3 server gave the object no ETag")
    }

    fn unreachable(&self) -> String {
        format!("the S3 server at {} cannot be reached", self.bucket.base_url().origin().ascii_serialization())
    }
}
