//! The CPU time of another process, as Linux counts it (proc(5), `/proc/pid/stat`).

use std::time::Duration;

use anyhow::{Context, Result};

/// Ticks of a second in `/proc` (`USER_HZ`), 100 on every Linux.
const TICKS_PER_SECOND: u64 = 100;
/// The places of `utime` and `stime` after the program's name and its closing parenthesis.
const UTIME: usize = 11;

/// What the process `pid` has used so far, in user and kernel mode.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    // The name may have spaces and parentheses in it.
    let fields = stat.rsplit_once(") ").map(|(_, fields)| fields.split(' ').skip(UTIME).take(2));
    let ticks = fields.and_then(|fields| fields.map(|field| field.parse::<u64>().ok()).sum::<Option<u64>>());
    let ticks = ticks.with_context(|| format!("{path} has no CPU time"))?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_takes_time() {
        let (before, began) = (cpu_time(std::process::id()).unwrap(), Instant::now());
        while cpu_time(std::process::id()).unwrap() < before + Duration::from_millis(50) {
            assert!(began.elapsed() < Duration::from_secs(30));
        }
    }
}
