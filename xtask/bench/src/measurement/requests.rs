//! create-session and list-parts under load, against a component that does next to nothing.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use hyper::Method;

use super::{Bench, TemporaryFile, build_component};
use crate::api::{self, Api};
use crate::client::message;
use crate::load::{self, Round};
use crate::manifest::{HELLO_ROUTE, write_with_hello};
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::median;
use crate::stored_parts;

/// The crate of the component to compare with.
const HELLO_CRATE: &str = "moc-bench-hello";
/// Parts that are listed.
const LISTED: u32 = 10;
/// Size of the file that is declared, in bytes.
const FILE_BYTES: usize = 100 << 20;

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let hello = match &bench.hello {
        Some(hello) => hello.clone(),
        None => build_component(&bench.manifest, HELLO_CRATE).await?,
    };
    let copy = TemporaryFile(bench.state.join(format!("moc-bench-{}.toml", std::process::id())));
    write_with_hello(&bench.manifest, &hello, &copy.0)?;
    let stack = bench.stack(&copy.0).await?;
    let app = stack.app();
    let file = Api::connect(app).await?.register(FILE_BYTES).await?;
    stored_parts::insert(&stack.database(), &file, 1..=LISTED)?;

    let targets = [
        ("hello-world", message(app, Method::GET, HELLO_ROUTE, Bytes::new())?, None),
        ("list-parts", api::list_parts(app, &file)?, Some(0.5)),
        ("create-session", api::create_session(app, FILE_BYTES)?, Some(0.33)),
    ];
    let (rounds, length) = bench.choose((5, Duration::from_secs(3)), (3, Duration::from_secs(1)));
    let mut results: [Vec<Round>; 3] = Default::default();
    for _ in 0..rounds {
        for ((_, request, _), rounds) in targets.iter().zip(&mut results) {
            rounds.push(load::round(app, request, length).await?);
            stack.truncate_log()?;
        }
    }
    let [hello, ..] = &results;
    for ((name, _, goal), rounds) in targets.iter().zip(&results) {
        let per_second = median(rounds.iter().map(|round| round.per_second));
        let p50 = median(rounds.iter().map(|round| f64::from(round.p50_us)));
        let p99 = median(rounds.iter().map(|round| f64::from(round.p99_us)));
        let show = |value| Unit::Microseconds.show(value);
        let latency = format!("p50 {}, p99 {}", show(p50), show(p99));
        let figure = match goal {
            None => Figure::new(*name, per_second, Unit::RequestsPerSecond).note(latency),
            Some(goal) => {
                let ratios = rounds.iter().zip(hello).map(|(round, hello)| round.per_second / hello.per_second);
                Figure::new(format!("{name} / hello-world"), median(ratios), Unit::Ratio)
                    .goal(Goal::AtLeast(*goal))
                    .note(format!("{}, {latency}", Unit::RequestsPerSecond.show(per_second)))
            }
        };
        let all: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
        report.add(figure.detail("requestsPerSecond", all).detail("p50Us", p50).detail("p99Us", p99));
    }
    Ok(())
}
