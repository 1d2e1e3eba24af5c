//! Stored bytes as a response: streamed in blocks, whole or one range.

use std::collections::VecDeque;
use std::ops::Range;

use axum::body::{Body, Bytes};
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use store::{SharedStore, StoreError};
use workflow::ArtifactUri;

use super::range::{Wanted, wanted};
use crate::problem::{ErrorType, Problem, chain};

/// Read from the store at a time; what one download holds in memory.
const BLOCK_BYTES: u64 = 256 << 10;

/// A stored file, whole.
pub(crate) struct Part {
    pub uri: ArtifactUri,
    pub size_bytes: u64,
}

/// Stored files one after another, as one content.
pub(crate) struct Content {
    pub store: SharedStore,
    pub parts: Vec<Part>,
    pub media_type: HeaderValue,
}

impl Content {
    /// Answers with the content, or with the range that `headers` ask for.
    pub(crate) fn respond(self, headers: &HeaderMap) -> Result<Response, Problem> {
        let size: u64 = self.parts.iter().map(|part| part.size_bytes).sum();
        let value = headers.get(RANGE).and_then(|value| value.to_str().ok());
        let (status, range) = match wanted(value, size) {
            Wanted::All => (StatusCode::OK, 0..size),
            Wanted::Some(range) => (StatusCode::PARTIAL_CONTENT, range),
            Wanted::Outside => {
                let detail = format!("the content has {size} bytes");
                return Err(Problem::new(ErrorType::RangeNotSatisfiable, detail)
                    .with_header(CONTENT_RANGE, header(format!("bytes */{size}"))));
            }
        };
        let length = range.end - range.start;
        let mut response = (
            status,
            [
                (CONTENT_TYPE, self.media_type),
                (CONTENT_LENGTH, HeaderValue::from(length)),
                (ACCEPT_RANGES, HeaderValue::from_static("bytes")),
                // What a build wrote is hostile: a browser shall neither guess a type nor run it.
                (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
                (
                    HeaderName::from_static("content-security-policy"),
                    HeaderValue::from_static("default-src 'none'; sandbox"),
                ),
            ],
        )
            .into_response();
        if status == StatusCode::PARTIAL_CONTENT {
            let value = header(format!("bytes {}-{}/{size}", range.start, range.end - 1));
            response.headers_mut().insert(CONTENT_RANGE, value);
        }
        *response.body_mut() = body(self.store, pieces(self.parts, range));
        Ok(response)
    }
}

/// What is still to be read of one file.
struct Piece {
    uri: ArtifactUri,
    range: Range<u64>,
}

/// The parts of the files that a range over all of them covers.
fn pieces(parts: Vec<Part>, wanted: Range<u64>) -> VecDeque<Piece> {
    let mut pieces = VecDeque::new();
    let mut begin = 0;
    for part in parts {
        let end = begin + part.size_bytes;
        let range = wanted.start.clamp(begin, end) - begin..wanted.end.clamp(begin, end) - begin;
        if !range.is_empty() {
            pieces.push_back(Piece { uri: part.uri, range });
        }
        begin = end;
    }
    pieces
}

fn body(store: SharedStore, pieces: VecDeque<Piece>) -> Body {
    Body::from_stream(stream::unfold((store, pieces), |(store, mut pieces)| async {
        match next_block(&store, &mut pieces).await {
            Ok(block) => block.map(|block| (Ok(block), (store, pieces))),
            Err(error) => {
                // The head is sent already: breaking off is all that is left.
                tracing::error!("A download broke off: {}", chain(&error));
                Some((Err(error), (store, VecDeque::new())))
            }
        }
    }))
}

async fn next_block(store: &SharedStore, pieces: &mut VecDeque<Piece>) -> Result<Option<Bytes>, StoreError> {
    let Some(piece) = pieces.front_mut() else { return Ok(None) };
    let length = (piece.range.end - piece.range.start).min(BLOCK_BYTES);
    let block = store.read_artifact(&piece.uri, piece.range.start, length).await?;
    if block.len() as u64 != length {
        return Err(StoreError::Corrupt { what: format!("artifact `{}` with fewer bytes than it had", piece.uri) });
    }
    piece.range.start += length;
    if piece.range.is_empty() {
        pieces.pop_front();
    }
    Ok(Some(Bytes::from(block)))
}

/// `Content-Disposition` that makes a browser save the content under `name`.
pub(crate) fn attachment(name: &str) -> (HeaderName, HeaderValue) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let simple: String = name.chars().map(|c| if c.is_ascii() && plain(c as u8) { c } else { '_' }).collect();
    let encoded: String =
        name.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    (CONTENT_DISPOSITION, header(format!("attachment; filename=\"{simple}\"; filename*=UTF-8''{encoded}")))
}

fn header(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_over_several_files_is_cut_at_their_borders() {
        let part = |name: &str, size_bytes| Part { uri: format!("artifact://i/{name}").parse().unwrap(), size_bytes };
        let cut = |range| -> Vec<_> {
            pieces(vec![part("a", 3), part("b", 0), part("c", 4)], range)
                .into_iter()
                .map(|piece| (piece.uri.as_str()["artifact://i/".len()..].to_owned(), piece.range))
                .collect()
        };
        let piece = |name: &str, range| (name.to_owned(), range);
        assert_eq!(cut(0..7), [piece("a", 0..3), piece("c", 0..4)]);
        assert_eq!(cut(2..4), [piece("a", 2..3), piece("c", 0..1)]);
        assert_eq!(cut(3..5), [piece("c", 0..2)]);
        assert_eq!(cut(0..0), []);
    }

    #[test]
    fn a_file_name_cannot_leave_its_header() {
        let (_, value) = attachment("a\"b\r\nX: y/ä.txt");
        assert_eq!(
            value.to_str().unwrap(),
            "attachment; filename=\"a_b__X__y__.txt\"; filename*=UTF-8''a%22b%0D%0AX%3A%20y%2F%C3%A4.txt"
        );
    }
}
