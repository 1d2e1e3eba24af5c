//! One connection from a sandbox.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::head::{self, Body, Request};
use super::hello::{self, Hello};
use super::policy::{Answer, Target};
use super::streams::{join, pump};
use super::{Shared, streams::Socket};

/// For the head of a request, and for a connection to be made.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers one request: a tunnel, or one plain exchange. Never a second one,
/// since that could ask for another host.
pub fn serve(mut client: UnixStream, shared: &Shared) {
    let _ = client.set_read_timeout(Some(PATIENCE));
    let Ok((bytes, rest)) = head::read(&mut client) else { return };
    let _ = client.set_read_timeout(None);
    let request = match head::parse(&bytes) {
        Ok(request) => request,
        Err(reason) => {
            shared.record("?", false, reason);
            return refuse(&mut client, 400, "Bad Request", reason);
        }
    };
    let (authority, default_port) = match &request {
        Request::Connect { authority } => (authority, None),
        Request::Plain { authority, .. } => (authority, Some(80)),
    };
    let (target, address) = match shared.policy.decide(authority, default_port) {
        Answer::Allowed { target, address } => (target, address),
        Answer::Refused { target, reason } => {
            shared.record(&target, false, reason.clone());
            return refuse(&mut client, 403, "Forbidden", &format!("egress to {target} is refused: {reason}"));
        }
        Answer::Unresolved { target, reason } => {
            shared.record(&target, true, reason.clone());
            return refuse(&mut client, 502, "Bad Gateway", &format!("{target} {reason}"));
        }
    };
    let upstream = match TcpStream::connect_timeout(&address, PATIENCE) {
        Ok(upstream) => upstream,
        Err(error) => {
            shared.record(&target.to_string(), true, format!("listed; failed to connect to {address}: {error}"));
            return refuse(&mut client, 502, "Bad Gateway", &format!("failed to connect to {target}: {error}"));
        }
    };
    shared.record(&target.to_string(), true, format!("listed; connected to {address}"));
    // Whatever goes wrong from here on is seen by both ends as a closed connection.
    let _ = match request {
        Request::Connect { .. } => tunnel(client, upstream, &rest, &target, address, shared),
        Request::Plain { method, path, fields, body, .. } => {
            let head = head::rewritten(&target, &method, &path, &fields);
            exchange(client, upstream, &head, &rest, body)
        }
    };
}

fn refuse(client: &mut UnixStream, status: u16, phrase: &str, reason: &str) {
    let policy = if status == 403 { "X-Egress-Policy: deny\r\n" } else { "" };
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(500).collect();
    let answer = format!(
        "HTTP/1.1 {status} {phrase}\r\n{policy}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{reason}\n",
        reason.len() + 1
    );
    // The client may be gone already.
    let _ = client.write_all(answer.as_bytes());
    client.end(Shutdown::Both);
}

fn tunnel(
    mut client: UnixStream,
    upstream: TcpStream,
    rest: &[u8],
    target: &Target,
    address: SocketAddr,
    shared: &Shared,
) -> io::Result<()> {
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    join(&client, &upstream, |mut client, mut upstream| {
        match first_bytes(&mut client, rest.to_vec(), target) {
            Ok(first) if upstream.write_all(&first).is_ok() => return pump(&mut client, &mut upstream),
            Ok(_) => {}
            Err(name) => {
                let reason = format!("a TLS connection asks for `{name}` at {address}");
                shared.record(&target.to_string(), false, reason);
            }
        }
        client.end(Shutdown::Both);
        upstream.end(Shutdown::Both);
    })
}

/// Reads until it is clear whether the client talks TLS; `Err` is the name of
/// another server that it asks for.
fn first_bytes(client: &mut UnixStream, mut bytes: Vec<u8>, target: &Target) -> Result<Vec<u8>, String> {
    let mut chunk = [0; 4096];
    loop {
        match hello::read(&bytes) {
            Hello::Tls { server_name: Some(name) } if name.trim_end_matches('.') != target.host => return Err(name),
            Hello::Tls { .. } | Hello::NotTls => return Ok(bytes),
            Hello::Partial => {}
        }
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return Ok(bytes),
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn exchange(client: UnixStream, mut upstream: TcpStream, head: &str, rest: &[u8], body: Body) -> io::Result<()> {
    upstream.write_all(head.as_bytes())?;
    let outcome = join(&client, &upstream, |mut client, mut upstream| match body {
        Body::Length(length) => {
            let early = rest.len().min(usize::try_from(length).unwrap_or(usize::MAX));
            if upstream.write_all(&rest[..early]).is_ok() {
                let _ = io::copy(&mut (&mut client).take(length - early as u64), &mut upstream);
            }
        }
        Body::Chunked => {
            if upstream.write_all(rest).is_ok() {
                pump(&mut client, &mut upstream);
            }
        }
    });
    client.end(Shutdown::Both);
    upstream.end(Shutdown::Both);
    outcome
}
