//! Servers that mean harm.

use std::time::{Duration, Instant};

use calls::Limits;
use web_stub::{Part, Reply, Web};
use workflow::EffectOutcome;

use crate::house::{House, Options, at, call, get, http, kind, rules_of};

fn strict(web: &Web) -> House {
    let limits = Limits {
        time: Duration::from_secs(2),
        connect_time: Duration::from_secs(1),
        body_bytes: 64 * 1024,
        redirects: 3,
    };
    House::with(Options { rules: rules_of(&[web]), limits, ..Options::default() })
}

#[tokio::test]
async fn a_body_without_end_is_cut() {
    let chunk = || Part::Forever(b"8000\r\n".iter().copied().chain([b'x'; 0x8000]).chain(*b"\r\n").collect());
    let chunked =
        Web::plain(move |_| Reply::raw("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").then(chunk()));
    let until_close = Web::plain(|_| Reply::raw("HTTP/1.1 200 OK\r\n\r\n").then(Part::Forever(vec![b'x'; 0x8000])));
    for web in [chunked, until_close] {
        let fault = strict(&web).fault(get(&at(&web, "/"))).await;
        assert_eq!(kind(&fault), "communication");
        assert!(fault.detail.unwrap().contains("more than 65536 bytes"));
    }
}

#[tokio::test]
async fn a_length_beyond_the_limit_is_not_even_read() {
    let web = Web::plain(|_| {
        Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 999999999999\r\n\r\n").then(Part::Pause(Duration::from_secs(5)))
    });
    let started = Instant::now();
    let fault = strict(&web).fault(get(&at(&web, "/"))).await;
    assert!(fault.detail.unwrap().contains("more than"));
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_slow_server_costs_no_more_than_the_limit() {
    let drip = |mut reply: Reply| {
        for _ in 0..20 {
            reply = reply.then(Part::Pause(Duration::from_millis(500))).then(Part::Bytes(b"x".to_vec()));
        }
        reply
    };
    let silent = Web::plain(|_| Reply::default().then(Part::Pause(Duration::from_secs(10))));
    let slow_head = Web::plain(move |_| drip(Reply::raw("HTTP/1.1 200 OK\r\nx: ")));
    let slow_body = Web::plain(move |_| drip(Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n")));
    for web in [silent, slow_head, slow_body] {
        let started = Instant::now();
        let fault = strict(&web).fault(get(&at(&web, "/"))).await;
        assert_eq!((kind(&fault), fault.status), ("timeout", 408));
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        let post = strict(&web).perform(call(http("POST", &at(&web, "/")))).await;
        assert!(matches!(post, EffectOutcome::Unknown { .. }), "{post:?}");
    }
}

#[tokio::test]
async fn what_is_compressed_is_not_unpacked() {
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip"] {
        let web = Web::plain(move |_| Reply::new(200, &[("content-encoding", encoding)], [0x1f, 0x8b, 8, 0]));
        let fault = strict(&web).fault(get(&at(&web, "/"))).await;
        assert_eq!(kind(&fault), "communication", "{encoding}");
        assert_eq!(web.asked()[0].header("accept-encoding"), Some("identity"));
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_communication_error() {
    let huge_head = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "y".repeat(200_000));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(5_000));
    let answers = [
        "garbage".to_owned(),
        "HTTP/9.9 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 abc OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        huge_head,
        many_headers,
        "HTTP/1.1 101 Switching Protocols\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let bytes = answer.clone();
        let web = Web::plain(move |_| Reply::raw(bytes.clone()));
        let fault = strict(&web).fault(get(&at(&web, "/"))).await;
        assert_eq!(kind(&fault), "communication", "{}", &answer[..answer.len().min(60)]);
    }
}

#[tokio::test]
async fn an_error_shows_only_the_beginning_of_a_body() {
    let web = Web::plain(|_| Reply::new(500, &[], "a\u{1b}[31m ".repeat(2_000)));
    let fault = strict(&web).fault(get(&at(&web, "/"))).await;
    let detail = fault.detail.unwrap();
    assert!(detail.len() < 600, "{}", detail.len());
    assert!(!detail.contains('\u{1b}'));
}
