//! The thumbnailer, a private route: a picture in, its thumbnail out. It can reach nothing.

use moc_adapters::http::{Request, Response};
use moc_domain::error::Error;
use moc_domain::limits::THUMBNAIL_SOURCE_MAX_BYTES;
use moc_thumbnail::thumbnail;

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Response, Error> {
    request.allow("POST")?;
    let picture = request.bytes(THUMBNAIL_SOURCE_MAX_BYTES).await?;
    Ok(match thumbnail(&picture) {
        Ok(jpeg) => Response::new(200, "image/jpeg", jpeg),
        Err(decode_error) => Response::new(422, "text/plain", decode_error.to_string().into_bytes()),
    })
}
