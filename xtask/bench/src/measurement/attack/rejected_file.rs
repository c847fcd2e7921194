//! A large file with a checksum that it does not have: its session is finalized again and again.

use anyhow::Result;

use super::{Bench, Target};
use crate::api::{Api, finalize};
use crate::report::Report;

/// In bytes.
const SIZE: usize = 64 << 20;
const REQUESTS: usize = 40;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let target = Target::start(bench, &[]).await?;
    let mut api = Api::connect(target.stack.app()).await?;
    let session = api.upload_small_files(1).await?;
    let mut file = vec![b' '; bench.choose(SIZE, SIZE / 4)];
    if let Some(start) = file.first_chunk_mut::<9>() {
        *start = *b"%PDF-1.7\n";
    }
    api.upload_file(&session, "large.pdf", file, Some(&"00".repeat(32))).await?;
    let requests = (0..bench.choose(REQUESTS, REQUESTS / 4)).map(|_| finalize(target.stack.app(), &session));
    target.attack("finalize of a file with a wrong checksum", requests.collect::<Result<_>>()?, report).await
}
