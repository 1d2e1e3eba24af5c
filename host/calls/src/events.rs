//! Server-sent events: what a stream of bytes says, event by event.

use std::collections::VecDeque;

/// Reads `data` of each event; the other fields are not needed here.
#[derive(Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    data: Option<String>,
    ready: VecDeque<String>,
}

impl Events {
    pub fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.line);
                    let text = String::from_utf8_lossy(&line);
                    self.take(text.trim_end_matches('\r'));
                }
                byte => self.line.push(*byte),
            }
        }
    }

    /// The data of the next whole event.
    pub fn next(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    fn take(&mut self, line: &str) {
        if line.is_empty() {
            self.ready.extend(self.data.take());
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_across_any_border() {
        let stream =
            b": hello\r\ndata: one\r\n\r\nevent: x\nid: 7\ndata:two\ndata: lines\n\n\ndata\n\ndata: unfinished\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            stream.chunks(size).for_each(|chunk| events.push(chunk));
            let found: Vec<String> = std::iter::from_fn(|| events.next()).collect();
            assert_eq!(found, ["one", "two\nlines", ""], "{size}");
        }
    }
}
