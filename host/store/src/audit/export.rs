//! The file that leaves the house: JSON Lines, a header and then every leaf.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use super::{AuditLeaf, AuditProblem, Checkpoint, Verified, verify};
use crate::contract::Store;
use crate::errors::StoreError;

/// First word of every export; the number changes with the form of the lines.
pub const FORMAT: &str = "light-workflow-audit/1";

/// Leaves fetched at a time.
const PAGE: u32 = 1_000;

/// Why an export could not be written, read or trusted.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error("failed to read or write the audit export")]
    File(#[from] io::Error),
    #[error("failed to read the audit log of the store")]
    Store(#[from] StoreError),
    #[error("the file is not an audit export: its first line is no header of format `{FORMAT}`")]
    NoHeader,
    /// It cannot be read, or was not written like this: somebody touched it.
    #[error("line {line}, where leaf {index} belongs, is not as an export writes it: {finding}")]
    Line { line: u64, index: u64, finding: String },
    #[error(transparent)]
    Problem(#[from] AuditProblem),
}

/// First line of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    checkpoint: Option<Checkpoint>,
}

/// An export that is being read: its checkpoint, and the leaves one by one.
pub struct Export<R> {
    pub checkpoint: Option<Checkpoint>,
    lines: io::Lines<R>,
    index: u64,
}

impl<R: BufRead> Export<R> {
    pub fn read(reader: R) -> Result<Self, ExportError> {
        let mut lines = reader.lines();
        let first = lines.next().ok_or(ExportError::NoHeader)??;
        let header: Header = serde_json::from_str(&first).map_err(|_| ExportError::NoHeader)?;
        if header.format != FORMAT {
            return Err(ExportError::NoHeader);
        }
        Ok(Self { checkpoint: header.checkpoint, lines, index: 0 })
    }

    /// Reads to the end and verifies; holds one leaf at a time.
    pub fn verify(mut self, expected_key: Option<&str>) -> Result<Verified, ExportError> {
        let checkpoint = self.checkpoint.take();
        let mut unreadable = None;
        let leaves = std::iter::from_fn(|| match self.next()? {
            Ok(leaf) => Some(leaf),
            Err(error) => {
                unreadable = Some(error);
                None
            }
        });
        let verified = verify(leaves, checkpoint.as_ref(), expected_key);
        // A line that cannot be read ended the log early: it is the first bad one.
        match unreadable {
            Some(error) => Err(error),
            None => Ok(verified?),
        }
    }

    fn leaf(&mut self, line: &str) -> Result<AuditLeaf, ExportError> {
        let wrong = |finding: String| ExportError::Line { line: self.index + 2, index: self.index, finding };
        let leaf: AuditLeaf = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        // JSON has many forms of one value (a key twice, for one), and a person
        // may read another one than we do; only ours is accepted.
        if leaf_line(&leaf) != line {
            return Err(wrong("the same leaf is written differently".to_owned()));
        }
        self.index += 1;
        Ok(leaf)
    }
}

impl<R: BufRead> Iterator for Export<R> {
    type Item = Result<AuditLeaf, ExportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.lines.next()? {
            Ok(line) => Some(self.leaf(&line)),
            Err(error) => Some(Err(error.into())),
        }
    }
}

/// Writes the whole log of a store as of its newest checkpoint; gives the number of leaves.
pub async fn export(store: &dyn Store, writer: &mut (dyn Write + Send)) -> Result<u64, ExportError> {
    // The checkpoint first: what is appended from now on is not part of this export.
    let checkpoint = store.checkpoint().await?;
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    writeln!(writer, "{}", header_line(checkpoint))?;
    let mut written = 0;
    while written < size {
        let rest = u32::try_from(size - written).unwrap_or(PAGE).min(PAGE);
        let leaves = store.audit(written, rest).await?;
        if leaves.is_empty() {
            return Err(StoreError::Corrupt { what: format!("an audit log without leaf {written}") }.into());
        }
        for leaf in &leaves {
            writeln!(writer, "{}", leaf_line(leaf))?;
        }
        written += leaves.len() as u64;
    }
    writer.flush()?;
    Ok(written)
}

/// First line of an export, without its end.
pub fn header_line(checkpoint: Option<Checkpoint>) -> String {
    let header = Header { format: FORMAT.to_owned(), checkpoint };
    serde_json::to_string(&header).expect("a header is plain strings and numbers")
}

/// One leaf as an export has it, without its end: no other form of it is accepted.
pub fn leaf_line(leaf: &AuditLeaf) -> String {
    serde_json::to_string(leaf).expect("a leaf is plain strings, numbers and JSON")
}
