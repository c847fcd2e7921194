//! The part route with few and with many parts stored: it must cost the same.
//!
//! Two files of 10,000 small parts, one with 9 of them stored, one with 8,999: put into the database
//! directly, and small enough that the bytes of a part hide nothing. The next part of each is sent
//! again and again, in turns; one that is sent again is recorded as a new one is, by one statement.

use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;

use super::Bench;
use crate::api::{self, Api};
use crate::client::Connection;
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::percentile;
use crate::stored_parts::{self, STORED_PART_BYTES};

/// Parts of each file.
const PARTS: u32 = 10_000;
/// The parts that are sent.
const NUMBERS: [u32; 2] = [10, 9000];
/// What the quotient of the median latencies must stay below.
const LIMIT: f64 = 1.2;
/// Requests that are not counted.
const WARM_UP: usize = 50;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let stack = bench.stack(&bench.manifest).await?;
    let mut api = Api::connect(stack.app()).await?;
    let body = Bytes::from(vec![b'x'; STORED_PART_BYTES as usize]);
    let mut requests = Vec::new();
    for number in NUMBERS {
        let file = api.register(1 << 20).await?;
        stored_parts::plan(&stack.database(), &file, PARTS)?;
        stored_parts::insert(&stack.database(), &file, 1..=number - 1)?;
        requests.push(api::put_part(stack.app(), &file, number as usize, body.clone())?);
    }
    let mut connection = Connection::open(stack.app()).await?;
    let mut latencies = [Vec::new(), Vec::new()];
    for round in 0..WARM_UP + bench.choose(2000, 400) {
        for (request, latencies) in requests.iter().zip(&mut latencies) {
            let sent = Instant::now();
            connection.send(request.clone()).await?.success()?;
            if round >= WARM_UP {
                latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
            }
        }
    }
    latencies.iter_mut().for_each(|latencies| latencies.sort_unstable());
    let [few, many] = latencies.each_ref().map(|latencies| f64::from(percentile(latencies, 50)));
    let [few_p99, many_p99] = latencies.each_ref().map(|latencies| f64::from(percentile(latencies, 99)));
    let show = |value| Unit::Microseconds.show(value);
    report.add(
        Figure::new("latency of part 9,000 / of part 10", many / few, Unit::Ratio)
            .goal(Goal::Below(LIMIT))
            .note(format!("p50 {} / {}, p99 {} / {}", show(many), show(few), show(many_p99), show(few_p99)))
            .detail("part10", serde_json::json!({ "p50Us": few, "p99Us": few_p99 }))
            .detail("part9000", serde_json::json!({ "p50Us": many, "p99Us": many_p99 })),
    );
    Ok(())
}
