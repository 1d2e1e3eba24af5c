//! What the machine can do at the moment: the measure of every other figure.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::build;

/// Writes of one fsync probe: some hundred milliseconds.
const PROBES: usize = 100;

/// The folder that data goes to, and the state of things before the first measurement.
pub struct Machine {
    /// Removed at the end.
    folder: tempfile::TempDir,
    pub file_system: String,
    pub load_before: f64,
    pub fsync_before: FsyncProbe,
}

impl Machine {
    /// # Errors
    ///
    /// A target folder in memory: durable figures need a disk.
    pub fn prepare() -> anyhow::Result<Self> {
        let target = build::target();
        fs::create_dir_all(&target).context("failed to make the target folder")?;
        let folder = tempfile::Builder::new().prefix("bench-data-").tempdir_in(&target)?;
        let file_system = file_system(folder.path())?;
        let fsync_before = probe(folder.path())?;
        Ok(Self { folder, file_system, load_before: load_average()?, fsync_before })
    }

    /// A folder of this name on the disk that was probed.
    pub fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn fsync(&self) -> anyhow::Result<FsyncProbe> {
        probe(self.folder.path())
    }
}

/// What 4 KiB and an fdatasync take, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct FsyncProbe {
    /// At the end of a file that grows.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Over blocks that a file has already: a write-ahead log after its first checkpoint.
    pub overwrite_p50_ms: f64,
}

impl FsyncProbe {
    pub fn json(&self) -> Value {
        json!({ "p50Ms": self.p50_ms, "p99Ms": self.p99_ms, "overwriteP50Ms": self.overwrite_p50_ms })
    }
}

impl fmt::Display for FsyncProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, overwriting {:.2} ms", self.p50_ms, self.p99_ms, self.overwrite_p50_ms)
    }
}

fn probe(folder: &Path) -> anyhow::Result<FsyncProbe> {
    let path = folder.join("fsync-probe");
    let file = File::create(&path).context("failed to make the probe's file")?;
    let pass = || -> anyhow::Result<Vec<f64>> {
        let mut times = Vec::with_capacity(PROBES);
        for block in 0..PROBES {
            let start = Instant::now();
            file.write_all_at(&[0x5a; 4096], block as u64 * 4096)?;
            file.sync_data()?;
            times.push(ms(start.elapsed()));
        }
        Ok(times)
    };
    let (growing, overwriting) = (pass()?, pass()?);
    fs::remove_file(&path)?;
    Ok(FsyncProbe {
        p50_ms: percentile(&growing, 50.0),
        p99_ms: percentile(&growing, 99.0),
        overwrite_p50_ms: percentile(&overwriting, 50.0),
    })
}

fn file_system(path: &Path) -> anyhow::Result<String> {
    let magic = rustix::fs::statfs(path).context("failed to ask for the file system")?.f_type as u64;
    Ok(match magic {
        0x0102_1994 | 0x8584_58f6 => bail!("`{}` lies in memory; set CARGO_TARGET_DIR to a disk", path.display()),
        0xef53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x794c_7630 => "overlayfs".to_owned(),
        other => format!("file system {other:#x}"),
    })
}

/// Of the last minute.
pub fn load_average() -> anyhow::Result<f64> {
    let text = fs::read_to_string("/proc/loadavg").context("failed to read the load average")?;
    text.split(' ').next().unwrap_or_default().parse().context("the load average is not a number")
}

/// User and system time of this process so far, all threads.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The value that `percent` of the values do not exceed; not a number if there are none.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(place.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_value_that_was_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!([0.0, 50.0, 99.0, 100.0].map(|percent| percentile(&values, percent)), [1.0, 50.0, 99.0, 100.0]);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
