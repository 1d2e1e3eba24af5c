use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;

use super::head::{self, Body, Request};
use super::hello::{self, Hello};
use super::policy::{self, Answer};
use super::{Config, Policy, Proxy, connect, is_public};

/// A server that answers each connection with what it was sent, up to the
/// first blank line.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let Ok((head, _)) = head::read(&mut stream) else { return };
                let body = String::from_utf8_lossy(&head).into_owned();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).unwrap();
            });
        }
    });
    address
}

struct World {
    _folder: tempfile::TempDir,
    socket: PathBuf,
    proxy: Proxy,
}

/// A proxy that allows `web.test:80` and `loop.test:80`; only the first is mapped.
fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    // A folder deeper than a unix socket's address can name.
    let deep = folder.path().join("a-folder-with-a-long-name/".repeat(5));
    std::fs::create_dir_all(&deep).unwrap();
    let socket = deep.join("egress.sock");
    let proxy = Proxy::start(Config {
        socket: socket.clone(),
        allow: vec!["web.test:80".to_owned(), "web.test:443".to_owned(), "localhost:80".to_owned()],
        resolve: BTreeMap::from([("web.test:80".to_owned(), echo()), ("web.test:443".to_owned(), echo())]),
    })
    .unwrap();
    World { _folder: folder, socket, proxy }
}

impl World {
    fn ask(&self, request: &[u8]) -> String {
        let mut client: UnixStream = connect(&self.socket).unwrap();
        client.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A refused client may be reset after its answer.
        let _ = client.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn a_listed_name_is_reached_and_its_head_is_our_own() {
    let world = world();
    let answer = world.ask(
        b"GET http://Web.Test./a?b HTTP/1.1\r\nHost: evil.test\r\nProxy-Authorization: x\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nAccept: */*\r\n\r\n",
    );
    let sent_on = answer.split_once("\r\n\r\n").unwrap().1;
    assert_eq!(sent_on, "GET /a?b HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\nAccept: */*\r\n\r\n");
    let decisions = world.proxy.stop();
    assert_eq!(decisions.len(), 1);
    assert!(decisions[0].allowed && decisions[0].target == "web.test:80", "{decisions:?}");
}

#[test]
fn a_tunnel_carries_bytes_to_a_listed_name() {
    let world = world();
    let answer = world.ask(b"CONNECT web.test:80 HTTP/1.1\r\nHost: web.test:80\r\n\r\nGET / HTTP/1.1\r\nX: y\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 OK"), "{answer}");
    assert!(answer.ends_with("GET / HTTP/1.1\r\nX: y\r\n\r\n"), "{answer}");
}

#[test]
fn everything_else_is_refused_and_written_down() {
    let requests = [
        "CONNECT evil.test:443",
        "CONNECT web.test:81",
        "CONNECT web.test.evil.test:80",
        "CONNECT 127.0.0.1:80",
        "CONNECT 2130706433:80",
        "CONNECT 0x7f000001:80",
        "CONNECT 127.1:80",
        "CONNECT [::1]:80",
        "CONNECT web.test",
        "CONNECT web.test:+80",
        "GET http://web.test@evil.test/",
        "GET http://web.test:80@evil.test/",
        "GET http://evil.test/http://web.test/",
        "GET http://web.test:443:80/",
        "GET http://web.test\\@evil.test/",
        // Listed, but its name leads to the host itself.
        "GET http://localhost/",
    ];
    let world = world();
    for request in requests {
        let answer = world.ask(format!("{request} HTTP/1.1\r\nHost: web.test\r\n\r\n").as_bytes());
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\nX-Egress-Policy: deny\r\n"), "{request}: {answer}");
    }
    let decisions = world.proxy.stop();
    assert_eq!(decisions.len(), requests.len());
    assert!(decisions.iter().all(|decision| !decision.allowed));
}

#[test]
fn a_request_that_two_readers_could_read_differently_is_refused() {
    let requests: [&[u8]; 8] = [
        b"GET / HTTP/1.1\r\nHost: web.test\r\n\r\n",
        b"GET http://web.test/ HTTP/1.1\nHost: web.test\r\n\r\n",
        b"GET  http://web.test/ HTTP/1.1\r\n\r\n",
        b"GET http://web.test/ HTTP/1.1\r\nHost : evil.test\r\n\r\n",
        b"GET http://web.test/ HTTP/1.1\r\nX: a\r\n folded: b\r\n\r\n",
        b"POST http://web.test/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx",
        b"POST http://web.test/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST http://web.test/ HTTP/1.1\r\nContent-Length: +1\r\n\r\nx",
    ];
    let world = world();
    for request in requests {
        let answer = world.ask(request);
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request"), "{}: {answer}", String::from_utf8_lossy(request));
    }
}

#[test]
fn only_one_request_goes_through_a_connection() {
    let world = world();
    let answer = world.ask(
        b"GET http://web.test/one HTTP/1.1\r\nHost: web.test\r\n\r\nGET http://evil.test/two HTTP/1.1\r\nHost: evil.test\r\n\r\n",
    );
    assert!(answer.contains("GET /one") && !answer.contains("two"), "{answer}");
}

/// A TLS 1.2 hello that asks for `name`.
fn client_hello(name: &str) -> Vec<u8> {
    let with_length = |width: usize, body: &[u8]| {
        let mut field = (body.len() as u32).to_be_bytes()[4 - width..].to_vec();
        field.extend_from_slice(body);
        field
    };
    let names = with_length(2, &[&[0][..], &with_length(2, name.as_bytes())].concat());
    let extensions = [&[0, 0x0a][..], &with_length(2, &[0, 2, 0, 29]), &[0, 0], &with_length(2, &names)].concat();
    let body = [&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0], &with_length(2, &extensions)].concat();
    let message = [&[1][..], &with_length(3, &body)].concat();
    [&[22, 3, 1][..], &with_length(2, &message)].concat()
}

#[test]
fn a_tunnel_that_asks_for_another_server_name_is_closed() {
    assert_eq!(hello::read(&client_hello("Web.Test")), Hello::Tls { server_name: Some("web.test".to_owned()) });
    assert_eq!(hello::read(&client_hello("web.test")[..20]), Hello::Partial);
    assert_eq!(hello::read(b"GET /"), Hello::NotTls);
    assert_eq!(hello::read(&[22, 3, 1, 0, 3, 9, 9, 9]), Hello::Tls { server_name: None });

    let world = world();
    let mut request = b"CONNECT web.test:443 HTTP/1.1\r\n\r\n".to_vec();
    request.extend(client_hello("evil.test"));
    assert_eq!(world.ask(&request), "HTTP/1.1 200 Connection established\r\n\r\n");
    let decisions = world.proxy.stop();
    assert!(
        decisions.iter().any(|decision| !decision.allowed && decision.reason.contains("evil.test")),
        "{decisions:?}"
    );
}

#[test]
fn addresses_that_are_not_public_are_known() {
    let private = [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "198.18.0.1",
        "192.0.2.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "2001:db8::1",
        "2001:0:1::1",
        "ff02::1",
    ];
    for ip in private {
        assert!(!is_public(ip.parse::<IpAddr>().unwrap()), "{ip}");
    }
    for ip in ["1.1.1.1", "140.82.112.3", "2606:4700::1111", "2a04:4e42::223", "::ffff:1.1.1.1"] {
        assert!(is_public(ip.parse::<IpAddr>().unwrap()), "{ip}");
    }
}

#[test]
fn a_target_is_read_in_one_form() {
    let target = policy::parse("Index.CRATES.io.:443", None).unwrap();
    assert_eq!(target.to_string(), "index.crates.io:443");
    assert_eq!(policy::parse("a.test", Some(80)).unwrap().to_string(), "a.test:80");
    let policy = Policy::new(vec!["index.crates.io:443".to_owned()], BTreeMap::new());
    assert!(matches!(policy.decide("index.crates.io:80", None), Answer::Refused { .. }));
}

#[test]
fn a_body_is_measured_before_it_is_sent_on() {
    let Ok(Request::Plain { body, path, .. }) =
        head::parse(b"PUT http://web.test HTTP/1.1\r\ncontent-length: 7\r\n\r\n")
    else {
        panic!("a plain request")
    };
    assert_eq!((body, path.as_str()), (Body::Length(7), "/"));
}
