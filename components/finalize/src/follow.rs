//! What follows a finalize, after its response: the thumbnail and the webhook. Neither can fail it.

use moc_adapters::platform::{WasiPlatform, both};
use moc_adapters::s3::S3Bucket;
use moc_adapters::thumbnail::Thumbnailer;
use moc_adapters::trace::Trace;
use moc_adapters::webhook;
use moc_adapters::{log, store};
use moc_application::make_thumbnail;
use moc_application::port::{Step, Trace as _};
use moc_application::retry::Retrying;
use moc_config::FinalizeSettings;
use moc_domain::error::{Error, ErrorKind};
use moc_domain::moc::Moc;

/// Makes thumbnails that are due, the MOC's among them, and has its webhook delivered.
pub async fn run(wanted: &FinalizeSettings, bucket: Retrying<S3Bucket, WasiPlatform>, moc: &Moc, trace: &Trace) {
    let thumbnail = async {
        if wanted.thumbnail {
            let thumbnailer = Thumbnailer { bucket, context: trace.context_of(Step::GenerateThumbnail) };
            let making = async { make_thumbnail::run(&store::open().await?, &thumbnailer, &WasiPlatform, moc).await };
            // The thumbnailer has logged every other error.
            let made = trace.step(Step::GenerateThumbnail, making).await;
            if let Err(Error { kind: ErrorKind::StoreUnavailable, source }) = made {
                log::warn(&format!("MOC {} gets no thumbnail yet: {}", moc.id, source.unwrap_or_default()));
            }
        }
    };
    let webhook = async {
        if wanted.webhook {
            let context = trace.context_of(Step::SendWebhook);
            // The sender has logged what is given up.
            let _ = trace.step(Step::SendWebhook, webhook::send(moc.id, context)).await;
        }
    };
    both(thumbnail, webhook).await;
}
