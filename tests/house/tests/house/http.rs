//! A small blocking HTTP client: enough for an API on loopback.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// Longer than any answer here takes; only a hang is found by it.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Client {
    /// `127.0.0.1:PORT`
    pub address: String,
    pub token: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None).whole()
    }

    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.send("POST", path, headers, Some(body)).whole()
    }

    /// Server-sent events, one by one, until the server closes.
    pub fn follow(&self, path: &str) -> impl Iterator<Item = Value> {
        let open = self.send("GET", path, &[("accept", "text/event-stream")], None);
        assert_eq!(open.status, 200);
        let lines = BufReader::new(open.body()).lines().map_while(Result::ok);
        lines.filter_map(|line| Some(serde_json::from_str(line.strip_prefix("data:")?.trim()).unwrap()))
    }

    fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Open {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if let Some(token) = &self.token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(body) = body {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        stream.write_all(format!("{head}\r\n{}", body.unwrap_or("")).as_bytes()).unwrap();
        Open::read(stream)
    }
}

impl Answer {
    #[track_caller]
    pub fn with_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map_or_else(|| panic!("no header `{name}`: {:?}", self.headers), |(_, value)| value)
    }
}

/// An answer whose body has not been read.
struct Open {
    status: u16,
    headers: Vec<(String, String)>,
    reader: BufReader<TcpStream>,
}

impl Open {
    fn read(stream: TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("`{line}` is no answer"));
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Self { status, headers, reader }
    }

    fn is_chunked(&self) -> bool {
        self.headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked")
    }

    fn body(self) -> Box<dyn std::io::Read> {
        if self.is_chunked() {
            Box::new(Chunks { reader: self.reader, left: 0, ended: false })
        } else {
            Box::new(self.reader)
        }
    }

    fn whole(self) -> Answer {
        let (status, headers) = (self.status, self.headers.clone());
        let mut body = Vec::new();
        self.body().read_to_end(&mut body).unwrap();
        Answer { status, headers, body }
    }
}

/// The body of `transfer-encoding: chunked`.
struct Chunks {
    reader: BufReader<TcpStream>,
    left: usize,
    ended: bool,
}

impl std::io::Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 && !self.ended {
            let mut line = String::new();
            self.reader.read_line(&mut line)?;
            self.left = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            self.ended = self.left == 0;
        }
        if self.ended {
            return Ok(0);
        }
        let part = buffer.len().min(self.left);
        let read = self.reader.read(&mut buffer[..part])?;
        self.left -= read;
        if self.left == 0 {
            // The line end after each chunk.
            self.reader.read_line(&mut String::new())?;
        }
        Ok(read)
    }
}
