//! A 512 MiB file in 8 MiB parts, four at once: through the part route, and straight to the same S3.

use anyhow::Result;

use super::Bench;
use crate::content::{Content, PART_BYTES};
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::median;
use crate::transfer::{Checksum, Uploader, Way};

/// Parts of 512 MiB.
const PARTS: usize = 64;

/// What part of the direct speed the route must have, without and with a checksum.
const KINDS: [(Checksum, &str, f64); 2] =
    [(Checksum::Absent, "no checksum", 0.72), (Checksum::Md5, "Content-MD5", 0.45)];

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let parts = bench.choose(PARTS, PARTS / 4);
    let rounds = bench.choose(9, 3);
    let content = Content::new();
    let bytes = (parts * PART_BYTES) as f64;
    for (checksum, name, goal) in KINDS {
        let stack = bench.stack(&bench.manifest).await?;
        let mut uploader = Uploader::new(&stack, &content).await?;
        uploader.verify(checksum, parts).await?;
        let mut pairs = Vec::new();
        for round in 0..rounds {
            // Whoever is second has the system still writing for the first: so they take turns.
            let first = if round % 2 == 0 { Way::Direct } else { Way::Route };
            let second = if round % 2 == 0 { Way::Route } else { Way::Direct };
            let mut speed =
                async |way| Ok::<_, anyhow::Error>(bytes / uploader.upload(way, checksum, parts).await?.as_secs_f64());
            let (one, two) = (speed(first).await?, speed(second).await?);
            pairs.push(if first == Way::Route { (one, two) } else { (two, one) });
        }
        let route = median(pairs.iter().map(|(route, _)| *route));
        let direct = median(pairs.iter().map(|(_, direct)| *direct));
        let ratios: Vec<f64> = pairs.iter().map(|(route, direct)| route / direct).collect();
        let show = |speed| Unit::BytesPerSecond.show(speed);
        report.add(
            Figure::new(format!("upload, {name}: route / direct"), median(ratios.iter().copied()), Unit::Ratio)
                .goal(Goal::AtLeast(goal))
                .note(format!("{} against {}", show(route), show(direct)))
                .detail("routeBytesPerSecond", route)
                .detail("directBytesPerSecond", direct)
                .detail("ratios", ratios),
        );
    }
    Ok(())
}
