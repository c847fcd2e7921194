//! The thumbnailer, a private route: a picture in, its thumbnail out. It can reach nothing.

use moc_adapters::http::{Answer, Request};
use moc_domain::failure::Failure;
use moc_domain::limits::THUMBNAIL_SOURCE_MAX_BYTES;
use moc_thumbnail::thumbnail;

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Answer, Failure> {
    request.allow("POST")?;
    let picture = request.bytes(THUMBNAIL_SOURCE_MAX_BYTES).await?;
    Ok(match thumbnail(&picture) {
        Ok(jpeg) => Answer::new(200, "image/jpeg", jpeg),
        Err(unusable) => Answer::new(422, "text/plain", unusable.to_string().into_bytes()),
    })
}
