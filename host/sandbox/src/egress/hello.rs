//! The server name in the first message of a TLS client.

/// What the first bytes of a tunnel are.
#[derive(Debug, PartialEq, Eq)]
pub enum Hello {
    /// More bytes are needed to tell.
    Partial,
    NotTls,
    /// TLS, with the server name it asks for, if it names one.
    Tls {
        server_name: Option<String>,
    },
}

/// Longest record: 2^14 bytes and its header. A hello in several records is not read further.
pub const HELLO_BYTES_MAX: usize = 16 * 1024 + 5;

pub fn read(bytes: &[u8]) -> Hello {
    match bytes {
        [] => Hello::Partial,
        [22] | [22, 3] => Hello::Partial,
        [22, 3, rest @ ..] => {
            let Some(length) = rest.get(1..3).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]]))) else {
                return Hello::Partial;
            };
            match rest.get(3..3 + length) {
                None if length <= HELLO_BYTES_MAX - 5 => Hello::Partial,
                None => Hello::NotTls,
                Some(record) => Hello::Tls { server_name: server_name(record) },
            }
        }
        _ => Hello::NotTls,
    }
}

fn server_name(record: &[u8]) -> Option<String> {
    let mut hello = Reader(record);
    if hello.take(1)? != [1] {
        return None;
    }
    hello.take(3)?; // length of the message
    hello.take(2 + 32)?; // version, random
    hello.with_length(1)?; // session
    hello.with_length(2)?; // cipher suites
    hello.with_length(1)?; // compression
    let mut extensions = Reader(hello.with_length(2)?);
    while !extensions.0.is_empty() {
        let kind = extensions.take(2)?;
        let body = extensions.with_length(2)?;
        if kind == [0, 0] {
            let mut names = Reader(Reader(body).with_length(2)?);
            if names.take(1)? != [0] {
                return None;
            }
            let name = names.with_length(2)?;
            return Some(String::from_utf8_lossy(name).to_ascii_lowercase());
        }
    }
    None
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A field whose length stands before it in `width` bytes.
    fn with_length(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.take(width)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length)
    }
}
