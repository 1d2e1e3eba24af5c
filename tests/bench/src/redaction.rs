//! Exact secrets in every encoding, removed from a stream of build output on one core.

use std::hint::black_box;
use std::time::Duration;

use workflow::redaction::workload;

use crate::machine::{cpu_time, median};
use crate::report::{Figure, figure};

const TEXT_BYTES: usize = 64 << 20;

/// Next to each other: a stream of 4 KiB pieces, as from a pipe, and one of 64 KiB.
pub fn measure(rounds: u32) -> Vec<Figure> {
    let mut points = Vec::new();
    for secrets in [1, 3, 20] {
        let workload = workload(secrets, TEXT_BYTES);
        for chunk_kib in [4, 64] {
            let (mut redacted, mut copied) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let start = cpu_time();
                let out = black_box(workload.run(chunk_kib << 10));
                redacted.push(megabytes_per_second(out, start));
                assert_eq!(out, workload.text.len(), "text without a secret comes out as it went in");
                let start = cpu_time();
                let out = copy(&workload.text, chunk_kib << 10);
                copied.push(megabytes_per_second(out, start));
            }
            points.push((secrets, chunk_kib, median(&redacted), median(&copied)));
        }
    }
    points.into_iter().flat_map(|(secrets, chunk, redacted, copied)| point(secrets, chunk, redacted, copied)).collect()
}

fn point(secrets: usize, chunk_kib: usize, redacted: f64, copied: f64) -> [Figure; 3] {
    let name = format!("secrets{secrets}.chunk{chunk_kib}KiB");
    [
        figure(format!("{name}.redacted"), redacted, "MB/s").at_least(500.0),
        figure(format!("{name}.copiedOnly"), copied, "MB/s"),
        figure(format!("{name}.ratioToCopy"), redacted / copied, ""),
    ]
}

/// The least that a capture does: each piece is copied once.
fn copy(text: &[u8], chunk_bytes: usize) -> usize {
    let mut out = Vec::with_capacity(2 * chunk_bytes);
    let mut total = 0;
    for chunk in text.chunks(chunk_bytes) {
        out.extend_from_slice(black_box(chunk));
        total += black_box(&out).len();
        out.clear();
    }
    total
}

/// Of processor time: what others do on the machine is not in it.
fn megabytes_per_second(bytes: usize, start: Duration) -> f64 {
    bytes as f64 / 1e6 / (cpu_time() - start).as_secs_f64()
}
