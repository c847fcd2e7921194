//! The thumbnail of a MOC, made after the response of its finalize.

use moc_domain::error::{Error, ErrorKind};
use moc_domain::limits::THUMBNAIL_SOURCE_MAX_BYTES;
use moc_domain::moc::{Moc, thumbnail_key};

use crate::port::{Store, Thumbnails};

/// Makes a thumbnail of a MOC's first picture and gives it to the MOC; one without pictures gets
/// none.
///
/// # Errors
/// [`ErrorKind::Internal`] with the cause where the picture is too large, is none, or takes too long,
/// or those of the store and the bucket.
pub async fn run(store: &impl Store, thumbnails: &impl Thumbnails, moc: &Moc) -> Result<(), Error> {
    let Some(picture) = moc.files.iter().find(|file| file.content.is_image()) else { return Ok(()) };
    if picture.size_bytes > THUMBNAIL_SOURCE_MAX_BYTES {
        let cause = format!("it has more than {THUMBNAIL_SOURCE_MAX_BYTES} bytes");
        return Err(Error::with_source(ErrorKind::Internal, cause));
    }
    let key = thumbnail_key(moc.id);
    thumbnails.make(&picture.key, &key).await?;
    Ok(store.set_thumbnail(moc.id, &key).await?)
}
