//! What the system says of memory; nothing on systems without `/proc`.

use std::fs;

/// Memory that programs may still take, in bytes.
pub(crate) fn available_bytes() -> Option<u64> {
    Some(kibibytes("/proc/meminfo", "MemAvailable:")? << 10)
}

/// The largest part of this process that was in memory at any time, in units of 2^20 bytes.
pub(crate) fn peak_resident_mb() -> Option<f64> {
    Some(kibibytes("/proc/self/status", "VmHWM:")? as f64 / 1024.0)
}

/// A line such as `VmHWM:   5120 kB`.
fn kibibytes(file: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_peak_holds_what_was_touched() {
        let before = peak_resident_mb().unwrap();
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(peak_resident_mb().unwrap() > before.max(64.0) - 1.0, "{} bytes", touched.len());
        assert!(available_bytes().unwrap() > 0);
    }
}
