//! A stream with what came of it and was not read yet.

use std::collections::VecDeque;
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How much is asked of the stream at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Cancel-safe in both directions: what came stays here until it is taken, and
/// what was not sent yet goes first the next time anything is awaited.
pub(super) struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
    unsent: VecDeque<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), unsent: VecDeque::new() }
    }

    /// What came and was not taken.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(count);
        std::mem::replace(&mut self.buffer, rest)
    }

    /// Waits for more; the end of the stream is an error.
    pub async fn more(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.buffer.reserve(CHUNK_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side closed the connection")),
            _ => Ok(()),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.unsent.extend(bytes);
        self.flush().await
    }

    async fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            if self.stream.write_buf(&mut self.unsent).await? == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        self.stream.flush().await
    }

    /// The stream, if nothing of it is left here.
    pub fn into_stream(self) -> Option<S> {
        (self.buffer.is_empty() && self.unsent.is_empty()).then_some(self.stream)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_cut_off_while_it_is_sent_goes_out_whole_before_anything_else() {
        let (ours, mut theirs) = tokio::io::duplex(4);
        let mut wire = Wire::new(ours);
        assert!(timeout(Duration::from_millis(20), wire.send(b"PONG\r\n")).await.is_err(), "nobody reads");
        let read = async {
            let mut bytes = [0; 10];
            theirs.read_exact(&mut bytes).await.unwrap();
            theirs.write_all(b"+OK").await.unwrap();
            bytes
        };
        let talk = async {
            wire.send(b"PING").await.unwrap();
            wire.more().await.unwrap();
        };
        assert_eq!(tokio::join!(read, talk).0, *b"PONG\r\nPING");
        assert_eq!(wire.pending(), b"+OK");
        // Also if only reading goes on.
        assert!(timeout(Duration::from_millis(20), wire.send(b"PONG\r\n")).await.is_err(), "nobody reads");
        let read = async {
            let mut bytes = [0; 6];
            theirs.read_exact(&mut bytes).await.unwrap();
            theirs.write_all(b"!").await.unwrap();
            bytes
        };
        let (bytes, more) = tokio::join!(read, wire.more());
        assert_eq!((bytes, more.is_ok()), (*b"PONG\r\n", true));
    }
}
