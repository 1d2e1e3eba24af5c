//! A stream with what came of it and was not read yet.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// How much is asked of the stream at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Reading is cancel-safe: what came stays here until it is taken.
pub(super) struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
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
        self.buffer.reserve(CHUNK_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other side closed the connection")),
            _ => Ok(()),
        }
    }

    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The stream, if nothing of it is left here.
    pub fn into_stream(self) -> Option<S> {
        self.buffer.is_empty().then_some(self.stream)
    }
}
