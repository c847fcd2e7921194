//! What follows a finalize: the thumbnail and the webhook. Neither can fail it.

use moc_adapters::platform::{RequestPlatform, WasiPlatform, both};
use moc_adapters::s3::S3Bucket;
use moc_adapters::trace::Trace;
use moc_adapters::{thumbnail, webhook};
use moc_application::port::{Step, Trace as _};
use moc_application::retry::Retrying;
use moc_config::FinalizeSettings;
use moc_domain::moc::Moc;

/// Makes thumbnails that are due, the MOC's among them, and has its webhook delivered.
pub async fn run(
    wanted: &FinalizeSettings,
    bucket: Retrying<S3Bucket, WasiPlatform>,
    platform: RequestPlatform,
    moc: &Moc,
    trace: &Trace,
) {
    let thumbnail = async {
        if wanted.thumbnail {
            let context = trace.context_of(Step::GenerateThumbnail);
            let making = thumbnail::make_due(bucket, platform, moc, context, false);
            // Why it was not made is in the log.
            let _ = trace.step(Step::GenerateThumbnail, making).await;
        }
    };
    let webhook = async {
        if wanted.webhook {
            let context = trace.context_of(Step::SendWebhook);
            // The sender has logged what is given up.
            let _ = trace.step(Step::SendWebhook, webhook::send(moc.id, platform, context)).await;
        }
    };
    both(thumbnail, webhook).await;
}
