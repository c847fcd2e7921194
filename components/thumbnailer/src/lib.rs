//! The thumbnailer, a private route: a picture in, its thumbnail out. It can reach nothing.

use moc_adapters::http::{Request, Response};
use moc_adapters::settings;
use moc_domain::error::Error;
use moc_domain::limits::{THUMBNAIL_MAX_MS, THUMBNAIL_SOURCE_MAX_BYTES};
use moc_thumbnail::thumbnail;

moc_adapters::private_component!(handle);

async fn handle(request: &mut Request) -> Result<Response, Error> {
    request.allow("POST")?;
    let picture = request.whole_body(THUMBNAIL_SOURCE_MAX_BYTES, THUMBNAIL_MAX_MS).await?;
    let picture = picture.as_ref();
    let memory_max_bytes = settings::host().await?.thumbnail_memory_max_bytes(picture.len() as u64);
    Ok(match thumbnail(picture, memory_max_bytes) {
        Ok(jpeg) => Response::new(200, "image/jpeg", jpeg),
        Err(decode_error) => Response::new(422, "text/plain", decode_error.to_string().into_bytes()),
    })
}
