//! A picture of 49 million pixels in some hundred KiB whose end is missing: its session is finalized again and again.

use anyhow::{Context, Result};

use super::{Bench, Target};
use crate::api::{Api, finalize};
use crate::report::Report;

/// Width and height, in pixels.
const SIDE: u32 = 7_000;
/// What is missing at the end, in bytes.
const MISSING: usize = 64;
const REQUESTS: usize = 120;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let target = Target::start(bench, &[("ENABLE_THUMBNAIL_GENERATION", "true")]).await?;
    let mut api = Api::connect(target.stack.app()).await?;
    let session = api.upload_small_files(1).await?;
    api.upload_file(&session, "picture.png", picture()?, None).await?;
    let requests = (0..bench.choose(REQUESTS, REQUESTS / 4)).map(|_| finalize(target.stack.app(), &session));
    target.attack("finalize of an undecodable picture", requests.collect::<Result<_>>()?, report).await
}

fn picture() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIDE, SIDE);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header()?;
    let pixels = vec![0; SIDE as usize * SIDE as usize * 4];
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    let length = bytes.len().checked_sub(MISSING).context("the picture is too short")?;
    bytes.truncate(length);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use moc_domain::limits::THUMBNAIL_MEMORY_MAX_BYTES;

    use super::*;

    #[test]
    fn the_picture_is_small_and_cannot_be_decoded() {
        let picture = picture().unwrap();
        assert!(picture.len() < 1 << 20, "{}", picture.len());
        assert!(moc_thumbnail::thumbnail(&picture, THUMBNAIL_MEMORY_MAX_BYTES).is_err());
    }
}
