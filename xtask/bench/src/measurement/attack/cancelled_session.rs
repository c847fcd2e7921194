//! A session with as many files as it may have by default, cancelled again and again.

use anyhow::Result;

use super::{Bench, Target};
use crate::api::{Api, cancel};
use crate::report::Report;

const FILES: usize = 50;
const REQUESTS: usize = 100;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let target = Target::start(bench, &[]).await?;
    let mut api = Api::connect(target.stack.app()).await?;
    let session = api.upload_small_files(bench.choose(FILES, FILES / 5)).await?;
    let requests = (0..bench.choose(REQUESTS, REQUESTS / 4)).map(|_| cancel(target.stack.app(), &session));
    target.attack("cancellation of one session", requests.collect::<Result<_>>()?, report).await
}
