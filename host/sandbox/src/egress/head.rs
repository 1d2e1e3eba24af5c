//! The head of a request to the proxy, and the head that is sent on.

use std::io::{self, Read};

use super::policy::Target;

/// A head longer than this is refused.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// What the client asks of the proxy.
#[derive(Debug, PartialEq, Eq)]
pub enum Request {
    /// A tunnel to `authority`.
    Connect { authority: String },
    /// One plain request, with its body still to be read.
    Plain { authority: String, method: String, path: String, fields: Vec<(String, String)>, body: Body },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    Length(u64),
    /// Its end is inside the body: only the upstream can tell.
    Chunked,
}

/// Reads up to the blank line. Returns the head and what came after it.
pub fn read(client: &mut impl Read) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut bytes = Vec::with_capacity(2048);
    let mut chunk = [0; 2048];
    loop {
        let count = client.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let from = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&chunk[..count]);
        if let Some(end) = bytes[from..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(from + end + 4);
            return Ok((bytes, rest));
        }
        if bytes.len() > HEAD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the request's head is too long"));
        }
    }
}

/// Reads a head strictly: what two readers could understand differently is refused.
pub fn parse(head: &[u8]) -> Result<Request, &'static str> {
    let text = std::str::from_utf8(head).map_err(|_| "the head is not text")?;
    let text = text.strip_suffix("\r\n\r\n").ok_or("the head has no end")?;
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("the first line is no request");
    };
    if !is_token(method) || !matches!(version, "HTTP/1.1" | "HTTP/1.0") || target.chars().any(char::is_control) {
        return Err("the first line is no request");
    }
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a line of the head is no field")?;
        let value = value.trim_matches([' ', '\t']);
        if !is_token(name) || value.chars().any(|c| c.is_control() && c != '\t') {
            return Err("a line of the head is no field");
        }
        fields.push((name.to_owned(), value.to_owned()));
    }
    if method == "CONNECT" {
        return Ok(Request::Connect { authority: target.to_owned() });
    }
    let scheme = target.get(..7).filter(|scheme| scheme.eq_ignore_ascii_case("http://"));
    let rest = scheme.map(|_| &target[7..]).ok_or("neither CONNECT nor an http:// address")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let body = body_of(&fields)?;
    Ok(Request::Plain { authority: authority.to_owned(), method: method.to_owned(), path, fields, body })
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn body_of(fields: &[(String, String)]) -> Result<Body, &'static str> {
    let values = |wanted: &'static str| {
        fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
    };
    let mut lengths = values("content-length");
    let mut codings = values("transfer-encoding");
    match (lengths.next(), codings.next(), lengths.next(), codings.next()) {
        (None, None, _, _) => Ok(Body::Length(0)),
        (Some(length), None, None, _) if length.bytes().all(|b| b.is_ascii_digit()) => {
            length.parse().map(Body::Length).map_err(|_| "the body's length is no number")
        }
        (None, Some(coding), _, None) if coding.eq_ignore_ascii_case("chunked") => Ok(Body::Chunked),
        _ => Err("the body's length is unclear"),
    }
}

/// The head for the upstream: its own host name, one request only.
pub fn rewritten(target: &Target, method: &str, path: &str, fields: &[(String, String)]) -> String {
    let host = if target.port == 80 { target.host.clone() } else { target.to_string() };
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
    // A field that `Connection` names is between the client and us.
    let hops: Vec<String> = fields
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection") || name.eq_ignore_ascii_case("proxy-connection"))
        .flat_map(|(_, value)| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .filter(|name| name != "content-length" && name != "transfer-encoding")
        .collect();
    for (name, value) in fields {
        let lower = name.to_ascii_lowercase();
        let ours = matches!(lower.as_str(), "host" | "connection" | "keep-alive" | "upgrade" | "te" | "trailer");
        if !ours && !lower.starts_with("proxy-") && !hops.contains(&lower) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("\r\n");
    head
}
