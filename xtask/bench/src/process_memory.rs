//! The resident memory of another process, as Linux counts it (proc(5), `/proc/pid/status`).

use anyhow::{Context, Result};

/// Resident memory of the process `pid` now, in bytes.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    status_field(pid, "VmRSS:")
}

/// The most resident memory that the process had since [`reset_peak`], in bytes.
pub fn peak_bytes(pid: u32) -> Result<u64> {
    status_field(pid, "VmHWM:")
}

/// Starts a new peak at what is resident now.
pub fn reset_peak(pid: u32) -> Result<()> {
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").context("the peak of the host's memory cannot be reset")
}

fn status_field(pid: u32, name: &str) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    Ok(kib.with_context(|| format!("{path} has no {name}"))? * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_reset_peak_is_what_is_resident() {
        let pid = std::process::id();
        let held = vec![1_u8; 64 << 20];
        assert!(peak_bytes(pid).unwrap() >= 64 << 20);
        drop(std::hint::black_box(held));
        reset_peak(pid).unwrap();
        assert!(peak_bytes(pid).unwrap() < resident_bytes(pid).unwrap() + (32 << 20));
    }
}
