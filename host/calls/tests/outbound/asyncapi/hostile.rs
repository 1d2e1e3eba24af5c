//! What brokers, documents and servers can do to whoever calls them.

use crate::house::kind;
use calls::Rules;
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use web_stub::broker::NatsServer;
use workflow::EffectOutcome;
use workflow::asyncapi::{Consume, Exchange};
use workflow::calls::Call;
use workflow::effect::EffectClass;

use super::{World, accept_of, call, channel, condition, operation, publish, subscribe, within};

/// A server that answers each connection with these bytes, and then says nothing.
fn says(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    serve(move |stream| {
        // A client says something first, or waits.
        let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&bytes);
        thread::sleep(Duration::from_secs(30));
    })
}

fn serve(answer: impl Fn(&mut TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = answer.clone();
            thread::spawn(move || answer(&mut stream));
        }
    });
    address
}

#[tokio::test]
async fn a_hostile_broker_is_cut_off_with_a_clear_fault() {
    const CONNACK: [u8; 4] = [0x20, 2, 0, 0];
    let after_welcome = |bytes: &[u8]| says([&CONNACK[..], bytes].concat());
    let cases = [
        ("mqtt", says([0x20, 0xff, 0xff, 0xff, 0xff, 0x01]), "more than four bytes"),
        ("mqtt", says([0x30, 0xff, 0xff, 0xff, 0x7f]), "a packet of 268435455 bytes"),
        ("mqtt", says([b"HTTP/1.1 400 Bad Request\r\n\r\n", &[b'x'; 100][..]].concat()), "nobody asked for"),
        ("mqtt", says([0xe0, 0]), "none of MQTT"),
        ("mqtt", after_welcome(&[0x36, 3, 0, 1, b'a']), "no QoS 3"),
        ("mqtt", after_welcome(&[0x32, 2, 0, 9]), "cut off"),
        ("nats", says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "no NATS"),
        ("nats", says(vec![b'x'; 70_000]), "a line of more than"),
        ("nats", says(b"INFO {}\r\nPONG\r\nMSG adopted 1 99999999999\r\n".to_vec()), "a message of 99999999999 bytes"),
        ("nats", says(b"INFO {}\r\nPONG\r\nMSG adopted 1 -5\r\n".to_vec()), "no NATS"),
        ("ws", says(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n".to_vec()), "answered 403"),
        (
            "ws",
            says(
                b"HTTP/1.1 101 S\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: eA==\r\n\r\n"
                    .to_vec(),
            ),
            "does not show",
        ),
        ("ws", says(b"garbage\r\n\r\n".to_vec()), ""),
    ];
    for (protocol, address, expected) in cases {
        let world = World::new(protocol, address);
        let started = Instant::now();
        let fault = world.house.fault(within(subscribe(channel("adopted"), Consume::Amount(1), None), 3_000)).await;
        assert!(matches!(kind(&fault), "communication" | "authorization"), "{protocol} {expected}: {fault:?}");
        assert!(fault.detail.as_deref().unwrap().contains(expected), "{protocol} {expected}: {fault:?}");
        assert!(started.elapsed() < Duration::from_secs(5), "{protocol} {expected}");
    }
}

#[tokio::test]
async fn silence_ends_with_the_time_of_the_task_and_a_lost_answer_is_unknown() {
    for protocol in ["mqtt", "nats", "ws"] {
        let world = World::new(protocol, says(Vec::new()));
        for silent in [
            publish(operation("adopt"), json!({ "name": "x" })),
            subscribe(channel("adopted"), Consume::Amount(1), None),
        ] {
            let fault = world.house.fault(within(silent, 600)).await;
            assert_eq!(kind(&fault), "timeout", "{protocol}: nothing was sent, so that is certain");
        }
        assert_eq!(world.house.announced(), 0);
    }
    // A broker that lets the client in and goes away with its message.
    let gone = serve(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&[0x20, 2, 0, 0]);
        let _ = stream.read(&mut [0; 4096]);
    });
    let world = World::new("mqtt", gone);
    let adopt = call(publish(operation("adopt"), json!({ "name": "x" })));
    let lost = world.house.perform(adopt.clone()).await;
    assert!(matches!(lost, EffectOutcome::Unknown { .. }), "{lost:?}");
    assert_eq!(world.house.announced(), 1);
    let fault = world.house.fault(Call { class: Some(EffectClass::Idempotent), ..adopt }).await;
    assert_eq!((kind(&fault), world.house.announced()), ("communication", 1));
}

/// Most memory that this process ever had.
fn peak_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test]
async fn a_large_document_is_not_copied_for_each_of_its_messages() {
    const LISTED: usize = 300;
    let document = |distinct: usize| {
        let filler: serde_json::Map<String, Value> = (0..10_000)
            .map(|n| (format!("filler-{n}"), json!({ "type": "string", "description": "x".repeat(60) })))
            .collect();
        let messages: serde_json::Map<String, Value> = (0..distinct)
            .map(|n| {
                (
                    format!("m{n}"),
                    json!({ "payload": { "properties": { "kind": { "const": n } }, "required": ["kind"] } }),
                )
            })
            .collect();
        let listed = (0..LISTED).map(|n| json!({ "$ref": format!("#/components/messages/m{}", n % distinct) }));
        let text = json!({
            "asyncapi": "3.0.0",
            "servers": { "here": { "host": "127.0.0.1:9", "protocol": "mqtt" } },
            "channels": { "many": { "address": "many" } },
            "operations": {
                "tell": { "channel": { "$ref": "#/channels/many" }, "messages": listed.collect::<Vec<_>>() },
            },
            "components": { "messages": messages, "schemas": filler },
        });
        text.to_string()
    };
    let told = async |distinct: usize| {
        let world = World::with(&document(distinct), Rules::default());
        world.house.fault(call(publish(operation("tell"), json!({ "kind": "none of them" })))).await
    };
    let fault = told(1).await;
    assert_eq!(kind(&fault), "validation");
    assert!(fault.detail.unwrap().contains("/kind"), "one message, however often it is named");
    let fault = told(64).await;
    assert!(fault.detail.unwrap().contains("none of the 64 that the document describes"));
    let fault = told(65).await;
    assert_eq!(kind(&fault), "configuration");
    assert!(fault.detail.unwrap().contains("more than 64 messages for `tell`"));
    assert!(peak_bytes() < 300 << 20, "{} bytes", peak_bytes());
}

#[tokio::test]
async fn a_broker_that_sends_without_end_and_reads_nothing_costs_the_time_of_the_task() {
    // QoS 1, so that each is to be acknowledged.
    let flood = serve(|stream| {
        let _ = stream.write_all(&[0x20, 2, 0, 0]);
        let packets = [0x32, 7, 0, 1, b'a', 0, 9, b'{', b'}'].repeat(4_000);
        while stream.write_all(&packets).is_ok() {}
    });
    let events = serve(|stream| {
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n");
        let events = b"data: {}\n\n".repeat(4_000);
        while stream.write_all(&events).is_ok() {}
    });
    for (protocol, address) in [("mqtt", flood), ("http", events)] {
        let world = World::new(protocol, address);
        for (time_ms, limit_ms) in [(None, 2_000), (Some(2_000), 20_000)] {
            let mut watch = subscribe(channel("adopted"), Consume::Amount(1), time_ms);
            let Exchange::Subscribe(subscription) = &mut watch.exchange else { panic!("it subscribes") };
            subscription.filter = Some(condition(".payload.name == \"Ann\""));
            let started = Instant::now();
            let ended =
                tokio::time::timeout(Duration::from_secs(30), world.house.perform(within(watch, limit_ms))).await;
            match ended.expect("the time of the task ends it") {
                EffectOutcome::Output { output } if time_ms.is_some() => assert_eq!(output, json!([])),
                EffectOutcome::Faulted { error } if time_ms.is_none() => assert_eq!(kind(&error), "timeout"),
                other => panic!("{protocol} {time_ms:?}: {other:?}"),
            }
            // What a broker keeps is ended in seconds of its own.
            let most = if time_ms.is_some() { 14 } else { 4 };
            assert!(started.elapsed() < Duration::from_secs(most), "{protocol} {time_ms:?}: {:?}", started.elapsed());
        }
    }
}

#[tokio::test]
async fn what_nats_says_after_a_message_was_sent_is_certain_only_of_a_permission() {
    let saying = |error: &'static str| {
        let address = serve(move |stream| {
            let _ = stream.write_all(b"INFO {\"max_payload\": 100}\r\n");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"PONG\r\n");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(format!("-ERR '{error}'\r\n").as_bytes());
        });
        World::new("nats", address)
    };
    let adopt = |name: &str| call(publish(operation("adopt"), json!({ "name": name })));
    for error in ["Stale Connection", "Slow Consumer", "User Authentication Expired", "Authorization Violation"] {
        let outcome = saying(error).house.perform(adopt("x")).await;
        let EffectOutcome::Unknown { detail } = &outcome else { panic!("{error}: {outcome:?}") };
        assert!(detail.contains(error), "{detail}");
    }
    let world = saying("Permissions Violation for Publish to \"adopted\"");
    let fault = world.house.fault(adopt("x")).await;
    assert_eq!((kind(&fault), fault.status), ("authorization", 403));
    let fault = world.house.fault(adopt(&"x".repeat(100))).await;
    assert_eq!(kind(&fault), "configuration");
    assert!(fault.detail.unwrap().contains("has 111 bytes, and the server takes 100"));
    // The broker itself says how much it takes.
    let server = NatsServer::start(&[]);
    let world = World::new("nats", server.address());
    let fault = world.house.fault(adopt(&"x".repeat(1_200_000))).await;
    assert!(fault.detail.unwrap().contains("the server takes 1048576"));
}

#[tokio::test]
async fn an_answer_that_changes_the_terms_of_a_websocket_is_refused() {
    let switching = |head: &'static str| {
        serve(move |stream| {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.push(byte[0]);
            }
            let request = String::from_utf8(request).unwrap();
            let of_key =
                |line: &str| Some(line.split_once(": ").filter(|(name, _)| *name == "sec-websocket-key")?.1.to_owned());
            let accept = accept_of(&request.lines().find_map(of_key).unwrap());
            let answer = format!("HTTP/1.1 101 S\r\n{head}sec-websocket-accept: {accept}\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
            // A text of two bytes.
            let _ = stream.write_all(&[0x81, 2, b'{', b'}']);
            thread::sleep(Duration::from_secs(30));
        })
    };
    let watch = || within(subscribe(channel("adopted"), Consume::Amount(1), None), 3_000);
    let agreed = switching("connection: keep-alive\r\nconnection: x, UPGRADE\r\nupgrade: WebSocket\r\n");
    assert_eq!(World::new("ws", agreed).house.output(watch()).await, json!([{ "payload": {} }]));
    let cases = [
        ("connection: upgrade\r\n", "does not show"),
        ("upgrade: websocket\r\n", "does not show"),
        ("connection: upgrade\r\nupgrade: h2c\r\n", "does not show"),
        ("connection: close\r\nupgrade: websocket\r\n", "does not show"),
        ("connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-protocol: x\r\n", "nobody asked for"),
        (
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-extensions: permessage-deflate\r\n",
            "nobody asked for",
        ),
    ];
    for (head, expected) in cases {
        let fault = World::new("ws", switching(head)).house.fault(watch()).await;
        assert_eq!(kind(&fault), "communication", "{head}");
        assert!(fault.detail.as_deref().unwrap().contains(expected), "{head}: {fault:?}");
    }
}
