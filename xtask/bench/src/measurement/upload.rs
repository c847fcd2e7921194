//! A 512 MiB file in 8 MiB parts, four at once: through the part route, straight to the same S3 at URLs of the
//! application, and straight to it without the application.

use anyhow::Result;

use super::Bench;
use crate::content::{Content, PART_BYTES};
use crate::report::{Figure, Goal, Report, Unit};
use crate::statistics::median;
use crate::transfer::{Checksum, Uploader, Way};

/// Parts of 512 MiB.
const PARTS: usize = 64;

/// Checksums, their names, and what part of the bare speed the two ways must have with them.
const KINDS: [(Checksum, &str, [f64; 2]); 2] =
    [(Checksum::Absent, "no checksum", [0.72, 0.95]), (Checksum::Md5, "Content-MD5", [0.45, 0.95])];

pub async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let parts = bench.choose(PARTS, PARTS / 4);
    let rounds = bench.choose(9, 3);
    let content = Content::new();
    let bytes = (parts * PART_BYTES) as f64;
    for (checksum, name, goals) in KINDS {
        let stack = bench.stack(&bench.manifest).await?;
        let mut uploader = Uploader::new(&stack, &content).await?;
        for is_direct in [false, true] {
            uploader.verify(is_direct, checksum, parts).await?;
        }
        // Whoever comes after another one has the system still writing for that: so they take turns.
        let mut order = [Way::Route, Way::Direct, Way::Bare];
        let mut speeds = [const { Vec::new() }; 3];
        for _ in 0..rounds {
            for way in order {
                let seconds = uploader.upload(way, checksum, parts).await?.as_secs_f64();
                if let Some(speeds) = speeds.get_mut(way as usize) {
                    speeds.push(bytes / seconds);
                }
            }
            order.rotate_left(1);
        }
        let [.., bare] = &speeds;
        for ((way, goal), speeds) in ["route", "direct"].into_iter().zip(goals).zip(&speeds) {
            let ratios: Vec<f64> = speeds.iter().zip(bare).map(|(speed, bare)| speed / bare).collect();
            let (speed, bare) = (median(speeds.iter().copied()), median(bare.iter().copied()));
            let show = |speed| Unit::BytesPerSecond.show(speed);
            report.add(
                Figure::new(format!("upload, {name}: {way} / bare"), median(ratios.iter().copied()), Unit::Ratio)
                    .goal(Goal::AtLeast(goal))
                    .note(format!("{} against {}", show(speed), show(bare)))
                    .detail("bytesPerSecond", speed)
                    .detail("bareBytesPerSecond", bare)
                    .detail("ratios", ratios),
            );
        }
    }
    Ok(())
}
