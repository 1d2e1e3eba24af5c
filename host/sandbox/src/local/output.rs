//! One output stream on its way from a command to the disk: redacted before it
//! gets there, and never more than its limit.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use workflow::redaction::RedactionStream;

/// The last part of a stream that a result carries, in bytes: enough for the
/// error blocks of a compiler, small enough for an event.
pub const EXCERPT_BYTES_MAX: usize = 64 << 10;

const CHUNK_BYTES: usize = 64 << 10;

/// Copies until the end of the stream. `over_limit` is called once, when more
/// came than was in `left_bytes`, which streams may share; what comes after is
/// read and thrown away, so that the command is ended by a decision and not by
/// a full pipe.
pub fn copy(
    mut from: impl Read,
    to: &mut File,
    mut redaction: RedactionStream,
    left_bytes: &AtomicU64,
    over_limit: impl FnOnce(),
) -> io::Result<()> {
    let mut over_limit = Some(over_limit);
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut clean = Vec::with_capacity(CHUNK_BYTES);
    loop {
        let read = match from.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let take = |left: u64| Some(left.saturating_sub(read as u64));
        let left = left_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).unwrap_or(0);
        let kept = usize::try_from(left).unwrap_or(usize::MAX).min(read);
        redaction.push(&chunk[..kept], &mut clean);
        to.write_all(&clean)?;
        clean.clear();
        if kept < read
            && let Some(over_limit) = over_limit.take()
        {
            over_limit();
        }
    }
    // What was cut may be the beginning of a secret: its rest is not known any more.
    if over_limit.is_some() {
        redaction.finish(&mut clean);
    }
    to.write_all(&clean)
}

/// The last [`EXCERPT_BYTES_MAX`] of a stored stream, from a character border on.
pub fn excerpt(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(EXCERPT_BYTES_MAX as u64)))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let cut = size > EXCERPT_BYTES_MAX as u64;
    let begin = if cut { bytes.iter().take(3).take_while(|byte| (0x80..0xc0).contains(*byte)).count() } else { 0 };
    let mut text = String::from_utf8_lossy(&bytes[begin..]).into_owned();
    // A byte that is no text becomes a character of three.
    let surplus = text.len().saturating_sub(EXCERPT_BYTES_MAX);
    text.drain(..text.ceil_char_boundary(surplus));
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use workflow::redaction::Redactor;

    fn copied(text: &str, limit_bytes: u64) -> (String, bool) {
        let redactor = Redactor::new([("token", "s3cr3t-value")]).expect("long enough");
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut over = false;
        let mut file = File::create(&path).expect("a file");
        copy(text.as_bytes(), &mut file, redactor.stream(), &AtomicU64::new(limit_bytes), || over = true)
            .expect("copied");
        (std::fs::read_to_string(path).expect("the file"), over)
    }

    #[test]
    fn a_secret_does_not_reach_the_disk() {
        assert_eq!(copied("a s3cr3t-value b", 100), ("a [secret token] b".to_owned(), false));
    }

    #[test]
    fn output_ends_at_its_limit() {
        assert_eq!(copied("abcdef", 6), ("abcdef".to_owned(), false));
        assert_eq!(copied("abcdefg", 6), ("abcdef".to_owned(), true));
    }

    #[test]
    fn an_excerpt_begins_at_a_character() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::fs::write(&path, "ä".repeat(EXCERPT_BYTES_MAX / 2) + "x").expect("written");
        let text = excerpt(&path).expect("an excerpt");
        assert_eq!(text.len(), EXCERPT_BYTES_MAX - 1);
        assert!(text.starts_with('ä') && text.ends_with('x'));
    }
}
