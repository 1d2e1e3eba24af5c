//! What a component writes to stdout and stderr, on its way to the log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

/// A line without an end is cut here.
const LINE_BYTES_MAX: usize = 8 << 10;

/// Taken from one write, and so held by the stream at once.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    Stdout,
    Stderr,
}

/// The streams of one call. They are bounded by bytes over the whole call, so
/// what waits here is too.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    whole: VecDeque<(Written, String)>,
    /// What came after the last line's end, of each stream.
    begun: [Vec<u8>; 2],
    bytes: u64,
    bytes_max: u64,
}

impl Output {
    pub fn new(bytes_max: u64) -> Self {
        Self(Arc::new(Mutex::new(Lines { whole: VecDeque::new(), begun: Default::default(), bytes: 0, bytes_max })))
    }

    pub fn stream(&self, written: Written) -> impl OutputStream + use<> {
        Stream { output: self.clone(), written }
    }

    /// The whole lines since the last time.
    pub fn take(&self) -> VecDeque<(Written, String)> {
        std::mem::take(&mut self.lines().whole)
    }

    /// The same and what has no line's end: nothing comes any more.
    pub fn take_rest(&self) -> VecDeque<(Written, String)> {
        let mut lines = self.lines();
        lines.cut(Written::Stdout);
        lines.cut(Written::Stderr);
        std::mem::take(&mut lines.whole)
    }

    /// The most that could be written, when more was.
    pub fn over(&self) -> Option<u64> {
        let lines = self.lines();
        (lines.bytes > lines.bytes_max).then_some(lines.bytes_max)
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    fn push(&mut self, written: Written, bytes: &[u8]) {
        for byte in bytes {
            let begun = &mut self.begun[written as usize];
            if *byte != b'\n' {
                begun.push(*byte);
            }
            if *byte == b'\n' || begun.len() == LINE_BYTES_MAX {
                self.cut(written);
            }
        }
    }

    fn cut(&mut self, written: Written) {
        let line = std::mem::take(&mut self.begun[written as usize]);
        if !line.is_empty() {
            self.whole.push_back((written, String::from_utf8_lossy(&line).into_owned()));
        }
    }
}

struct Stream {
    output: Output,
    written: Written,
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut lines = self.output.lines();
        lines.bytes += bytes.len() as u64;
        if lines.bytes > lines.bytes_max {
            return Err(StreamError::trap("more was written than the log takes"));
        }
        lines.push(self.written, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_in_the_order_of_their_ends() {
        let output = Output::new(1000);
        let (mut out, mut err) = (output.stream(Written::Stdout), output.stream(Written::Stderr));
        out.write(Bytes::from_static(b"one\ntw")).unwrap();
        err.write(Bytes::from_static(b"trouble\n\n")).unwrap();
        out.write(Bytes::from_static(b"o\nthree")).unwrap();
        let texts = |lines: VecDeque<(Written, String)>| lines.into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        assert_eq!(texts(output.take()), ["one", "trouble", "two"]);
        assert_eq!(texts(output.take_rest()), ["three"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut_and_the_whole_is_bounded() {
        let output = Output::new(LINE_BYTES_MAX as u64 + 1);
        let mut out = output.stream(Written::Stdout);
        out.write(Bytes::from(vec![b'x'; LINE_BYTES_MAX + 1])).unwrap();
        assert_eq!(output.take().len(), 1);
        assert_eq!(output.over(), None);
        assert!(out.write(Bytes::from_static(b"x")).is_err());
        assert_eq!(output.over(), Some(LINE_BYTES_MAX as u64 + 1));
    }
}
