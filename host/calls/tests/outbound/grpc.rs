//! gRPC against servers on loopback that speak it: frames, trailers, HTTP/2.

use std::time::Duration;

use calls::Rules;
use serde_json::{Value, json};
use web_stub::http2::{self, Reply};
use web_stub::{Authority, Web};
use workflow::EffectOutcome;
use workflow::calls::{AuthenticationScheme, Call, CallEndpoint, CallRequest, GrpcCall};
use workflow::effect::Fault;

use crate::damage::{Dice, damage};
use crate::house::{House, Options, given, kind};

const PROTO: &str = r#"
syntax = "proto3";
package greet.v1;
import "google/protobuf/timestamp.proto";
import "common/mood.proto";
// { brackets in a comment are no message
service Greeter {
  rpc SayHello (HelloRequest) returns (HelloReply) {}
  rpc Look (HelloRequest) returns (HelloReply) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Count (HelloRequest) returns (stream HelloReply);
  rpc Collect (stream HelloRequest) returns (HelloReply);
}
service Other { rpc SayHello (HelloRequest) returns (HelloReply); }
message HelloRequest {
  string name = 1;
  repeated int32 numbers = 2;
  map<string, string> labels = 3;
  oneof how { bool loud = 4; common.Mood mood = 5; }
  google.protobuf.Timestamp at = 6;
}
message HelloReply { string message = 1; int32 count = 2; int64 large = 3; }
"#;

const MOOD: &str = "syntax = \"proto3\"; package common; enum Mood { MOOD_UNSPECIFIED = 0; MOOD_HAPPY = 1; }";

/// Folder of documents, rules that approve the server, and the server.
struct World {
    house: House,
    web: http2::Web,
    folder: tempfile::TempDir,
}

impl World {
    fn new(answer: impl Fn(&web_stub::Asked) -> Reply + Send + Sync + 'static) -> Self {
        let web = http2::Web::plain(answer);
        let allow = [format!("http://{}", web.address()).parse().unwrap()].into();
        Self::with(web, Rules { allow, ..Rules::default() }, None)
    }

    fn with(web: http2::Web, rules: Rules, authority: Option<Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("app/common")).unwrap();
        std::fs::write(folder.path().join("app/greet.proto"), PROTO).unwrap();
        std::fs::write(folder.path().join("app/common/mood.proto"), MOOD).unwrap();
        let rules = Rules { files: Some(folder.path().to_owned()), ..rules };
        let house = House::with(Options { rules, authority, ..Options::default() });
        Self { house, web, folder }
    }

    fn grpc(&self, method: &str, arguments: Value) -> GrpcCall {
        let Value::Object(arguments) = arguments else { panic!("arguments are a mapping") };
        GrpcCall {
            proto: CallEndpoint { uri: "file://app/greet.proto".to_owned(), authentication: None },
            service: "greet.v1.Greeter".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: Some(self.web.address().port()),
            method: method.to_owned(),
            arguments,
            authentication: None,
        }
    }

    async fn fault_of(&self, grpc: GrpcCall) -> Fault {
        self.house.fault(call(grpc)).await
    }
}

fn call(grpc: GrpcCall) -> Call {
    Call { request: CallRequest::Grpc(Box::new(grpc)), class: None, time_limit_ms: 0 }
}

/// A message with the prefix of its length.
fn frame(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

/// `message` and `count` of a reply, as protobuf has them on the wire.
fn reply(message: &str, count: u8) -> Vec<u8> {
    frame(&[&[0x0a, u8::try_from(message.len()).unwrap()], message.as_bytes(), &[0x10, count]].concat())
}

fn answer(body: Vec<Vec<u8>>, status: &str) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "application/grpc+proto".to_owned())],
        body,
        trailers: Some(vec![("grpc-status", status.to_owned())]),
        ..Reply::default()
    }
}

#[tokio::test]
async fn a_method_is_called_with_the_message_that_the_document_describes() {
    let world = World::new(|asked| match asked.target.as_str() {
        // Two frames of HTTP/2 for one message.
        "/greet.v1.Greeter/SayHello" | "/greet.v1.Greeter/Look" => {
            let whole = reply("Hello Ann", 0);
            answer(vec![whole[..7].to_vec(), whole[7..].to_vec()], "0")
        }
        _ => answer(vec![reply("one", 1), [reply("two", 2), reply("three", 3)].concat()], "0"),
    });
    let arguments = json!({ "name": "Ann", "numbers": [1, 300], "labels": { "k": "v" }, "mood": "MOOD_HAPPY", "at": "1970-01-01T00:00:01Z" });
    let mut grpc = world.grpc("SayHello", arguments);
    grpc.authentication = given(AuthenticationScheme::Bearer, json!({ "token": "t-12345678" }));
    let output = world.house.output(call(grpc)).await;
    // Defaults are written, and 64-bit numbers are texts, as the JSON form has them.
    assert_eq!(output, json!({ "message": "Hello Ann", "count": 0, "large": "0" }));
    let asked = &world.web.asked()[0];
    assert_eq!(asked.line(), "POST /greet.v1.Greeter/SayHello");
    let wire =
        [&b"\x0a\x03Ann"[..], b"\x12\x03\x01\xac\x02", b"\x1a\x06\x0a\x01k\x12\x01v", b"\x28\x01", b"\x32\x02\x08\x01"]
            .concat();
    assert_eq!(asked.body, frame(&wire));
    for (name, value) in
        [("content-type", "application/grpc"), ("te", "trailers"), ("authorization", "Bearer t-12345678")]
    {
        assert_eq!(asked.header(name), Some(value), "{name}");
    }
    let left: u32 = asked.header("grpc-timeout").unwrap().strip_suffix('m').unwrap().parse().unwrap();
    assert!((15_000..=20_000).contains(&left), "{left} of the 20 s of this host");
    assert_eq!(world.house.announced(), 1, "nobody says that a greeting may be repeated");

    // A service by its short name, a stream of answers, and a method that promises to change nothing.
    let mut grpc = world.grpc("Count", json!({}));
    grpc.service = "Greeter".to_owned();
    let output = world.house.output(call(grpc)).await;
    assert_eq!(output[2], json!({ "message": "three", "count": 3, "large": "0" }));
    assert_eq!(world.house.output(call(world.grpc("Look", json!({})))).await["message"], "Hello Ann");
    assert_eq!(world.house.announced(), 2);
}

#[tokio::test]
async fn a_service_with_tls_is_believed_if_its_certificate_is() {
    for trusted in [true, false] {
        let authority = Authority::new();
        let web = http2::Web::secure(&authority, &["greet.example"], |_| answer(vec![reply("hi", 1)], "0"));
        let port = web.address().port();
        let rules = Rules { resolve: [(format!("greet.example:{port}"), web.address())].into(), ..Rules::default() };
        let world = World::with(web, rules, trusted.then_some(authority));
        let mut grpc = world.grpc("Look", json!({}));
        grpc.host = "greet.example".to_owned();
        match trusted {
            true => assert_eq!(world.house.output(call(grpc)).await["message"], "hi"),
            false => assert_eq!(kind(&world.fault_of(grpc).await), "communication"),
        }
        assert_eq!(world.web.asked().len(), usize::from(trusted));
    }
}

#[tokio::test]
async fn each_status_is_an_error_with_a_type_and_a_number() {
    for (number, name, status) in [
        ("1", "communication", 499),
        ("2", "communication", 500),
        ("3", "communication", 400),
        ("4", "timeout", 408),
        ("5", "communication", 404),
        ("7", "authorization", 403),
        ("14", "communication", 503),
        ("16", "authentication", 401),
        ("77", "communication", 500),
    ] {
        // With trailers after a body, and instead of any.
        for early in [false, true] {
            let world = World::new(move |_| {
                let mut end = vec![("grpc-status", number.to_owned()), ("grpc-message", "no%20pet".to_owned())];
                match early {
                    false => Reply { trailers: Some(end), ..answer(Vec::new(), "0") },
                    true => {
                        end.push(("content-type", "application/grpc".to_owned()));
                        Reply { status: 200, headers: end, ..Reply::default() }
                    }
                }
            });
            let fault = world.fault_of(world.grpc("Look", json!({}))).await;
            assert_eq!((kind(&fault), fault.status), (name, status), "{number} {early}");
            let detail = fault.detail.unwrap();
            assert!(detail.contains(&format!("({number}): no pet")), "{detail}");
            // Some say nothing of whether a method that acts has acted.
            let is_uncertain = ["1", "2", "4", "14", "77"].contains(&number);
            match world.house.perform(call(world.grpc("SayHello", json!({})))).await {
                EffectOutcome::Unknown { detail: why } if is_uncertain => {
                    assert_eq!(why, detail.replace("Look", "SayHello"))
                }
                EffectOutcome::Faulted { error } if !is_uncertain => assert_eq!(error.status, status),
                other => panic!("{number} {early}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_told_apart_from_one_that_got_lost() {
    let good = || reply("hi", 1);
    type Answers = fn() -> Reply;
    let cases: [(Answers, &str); 6] = [
        (|| Reply { status: 404, ..answer(Vec::new(), "0") }, "answered 404, and not in gRPC"),
        (
            || Reply { headers: vec![("content-type", "text/html".to_owned())], ..answer(Vec::new(), "0") },
            "not in gRPC",
        ),
        (|| answer(Vec::new(), "0"), "answered OK without a message"),
        (|| answer(vec![[reply("a", 1), reply("b", 1)].concat()], "0"), "answered with several messages"),
        (|| answer(vec![vec![1, 0, 0, 0, 0]], "0"), "a compressed message"),
        (|| answer(vec![vec![0, 0, 0, 0, 9, 1]], "0"), "cut off"),
    ];
    for (reply, expected) in cases {
        let world = World::new(move |_| reply());
        let fault = world.fault_of(world.grpc("SayHello", json!({}))).await;
        assert_eq!(kind(&fault), "communication");
        assert!(fault.detail.as_ref().unwrap().contains(expected), "{expected}: {fault:?}");
    }
    let lost: [fn() -> Reply; 3] = [
        || Reply { trailers: None, ..answer(vec![reply("hi", 1)], "0") },
        || Reply { trailers: None, reset: true, ..answer(vec![reply("hi", 1)], "0") },
        || Reply { pause: Duration::from_secs(30), ..answer(Vec::new(), "0") },
    ];
    for (index, reply) in lost.into_iter().enumerate() {
        let world = World::new(move |_| reply());
        let within = |grpc| Call { time_limit_ms: 1_000, ..call(grpc) };
        let acts = world.house.perform(within(world.grpc("SayHello", json!({})))).await;
        assert!(matches!(acts, EffectOutcome::Unknown { .. }), "{index}: {acts:?}");
        let looks = world.house.perform(within(world.grpc("Look", json!({})))).await;
        assert!(matches!(looks, EffectOutcome::Faulted { .. }), "{index}: {looks:?}");
    }
    let world = World::new(move |_| answer(vec![good()], "0"));
    assert_eq!(world.house.output(call(world.grpc("SayHello", json!({})))).await["count"], 1);
}

#[tokio::test]
async fn an_answer_is_as_long_as_its_json() {
    // Of 4 MiB that a body may have these are a few hundred kilobytes, and many times that as JSON.
    let world = World::new(|asked| match asked.target.as_str() {
        "/greet.v1.Greeter/Count" => answer(vec![frame(&[]).repeat(150_000)], "0"),
        "/Lists/Few" => answer(vec![frame(&[0x0a_u8, 0x00].repeat(2))], "0"),
        _ => answer(vec![frame(&[0x0a_u8, 0x00].repeat(200_000))], "0"),
    });
    let text = "syntax = \"proto3\"; service Lists { rpc Few (Row) returns (Rows); rpc Many (Row) returns (Rows); }
        message Rows { repeated Row rows = 1; } message Row { string first = 1; string second = 2; }";
    std::fs::write(world.folder.path().join("app/lists.proto"), text).unwrap();
    let of_lists = |method: &str| {
        let mut grpc = world.grpc(method, json!({}));
        (grpc.proto.uri, grpc.service) = ("file://app/lists.proto".to_owned(), "Lists".to_owned());
        grpc
    };
    let row = json!({ "first": "", "second": "" });
    assert_eq!(world.house.output(call(of_lists("Few"))).await, json!({ "rows": [row, row] }));
    for grpc in [of_lists("Many"), world.grpc("Count", json!({}))] {
        let fault = world.fault_of(grpc).await;
        assert_eq!(kind(&fault), "communication");
        assert!(fault.detail.as_ref().unwrap().contains("more than 4194304 bytes as JSON"), "{fault:?}");
    }
}

#[tokio::test]
async fn what_a_document_imports_is_read_from_its_ownfolder_and_origin() {
    let documents = Web::plain(|asked| match asked.target.as_str() {
        "/?at=a/b" | "/v1/greet.proto?at=a/b" => web_stub::Reply::new(200, &[], PROTO),
        "/common/mood.proto" | "/v1/common/mood.proto" => web_stub::Reply::new(200, &[], MOOD),
        _ => web_stub::Reply::status(404),
    });
    let web = http2::Web::plain(|_| answer(vec![reply("hi", 1)], "0"));
    let origins = [web.address(), documents.address()];
    let allow = origins.iter().map(|address| format!("http://{address}").parse().unwrap()).collect();
    let world = World::with(web, Rules { allow, ..Rules::default() }, None);
    for (place, import) in [("?at=a/b", "/common/mood.proto"), ("/v1/greet.proto?at=a/b", "/v1/common/mood.proto")] {
        let mut grpc = world.grpc("Look", json!({}));
        grpc.proto.uri = format!("http://{}{place}", documents.address());
        assert_eq!(world.house.output(call(grpc)).await["message"], "hi", "{place}");
        assert_eq!(documents.asked().last().unwrap().target, import);
    }
}

#[tokio::test]
async fn what_does_not_fit_the_document_is_said_before_anything_is_called() {
    let world = World::new(|_| answer(Vec::new(), "0"));
    let with = |change: fn(&mut GrpcCall)| {
        let mut grpc = world.grpc("SayHello", json!({}));
        change(&mut grpc);
        grpc
    };
    let folder = world.folder.path();
    let deep = format!("{}{}", "message A { ".repeat(100), "}".repeat(100));
    // Each level of an option's value closes a bracket that is none.
    let hidden = format!(
        "syntax = \"proto3\"; import \"google/protobuf/descriptor.proto\"; message M {{ M m = 1; string s = 2; }}
        extend google.protobuf.MessageOptions {{ M deep = 50000; }} message A {{ option (deep) = {{ {}{} }}; }}",
        "m{s:\"}\" ".repeat(100_000),
        "}".repeat(100_000)
    );
    for (name, text) in [
        ("broken.proto", "syntax = \"proto3\";\nmessage {"),
        ("outside.proto", "syntax = \"proto3\"; import \"../secret.proto\";"),
        ("query.proto", "syntax = \"proto3\"; import \"secret.proto?x=1\";"),
        ("absent.proto", "syntax = \"proto3\"; import \"nowhere.proto\";"),
        ("deep.proto", &deep),
        ("hidden.proto", &hidden),
        ("unknown.proto", "syntax = \"proto3\"; message A { Nothing a = 1; }"),
    ] {
        std::fs::write(folder.join("app").join(name), text).unwrap();
    }
    let of_file = |name: &str| {
        let mut grpc = world.grpc("SayHello", json!({}));
        grpc.proto.uri = format!("file://app/{name}");
        grpc
    };
    let cases = [
        (
            with(|grpc| grpc.service = "Greter".to_owned()),
            "no service `Greter`; it has greet.v1.Greeter, greet.v1.Other",
        ),
        (with(|grpc| grpc.method = "SayHi".to_owned()), "no method `SayHi`; it has SayHello, Look, Count, Collect"),
        (with(|grpc| grpc.method = "Collect".to_owned()), "takes a stream of requests"),
        (world.grpc("SayHello", json!({ "nam": "Ann" })), "`arguments` do not fit `greet.v1.HelloRequest`"),
        (world.grpc("SayHello", json!({ "numbers": ["x"] })), "`arguments` do not fit `greet.v1.HelloRequest`"),
        (of_file("broken.proto"), "is no proto document"),
        (of_file("unknown.proto"), "is no proto document"),
        (of_file("outside.proto"), "is no proto document"),
        (of_file("query.proto"), "imports `secret.proto?x=1`, which is no path below it"),
        (of_file("absent.proto"), "failed to read `file://app/nowhere.proto`"),
        (of_file("deep.proto"), "nested more than 48 levels deep"),
        (of_file("hidden.proto"), "nested more than 48 levels deep"),
    ];
    for (grpc, expected) in cases {
        let fault = world.fault_of(grpc).await;
        assert_eq!(kind(&fault), "configuration", "{fault:?}");
        assert!(fault.detail.as_ref().unwrap().contains(expected), "{expected}: {fault:?}");
    }
    assert_eq!(world.web.asked().len(), 0);
}

#[tokio::test]
async fn only_an_approved_service_that_speaks_http2_is_called() {
    let world = World::new(|_| answer(vec![reply("hi", 1)], "0"));
    for (host, port) in [("127.0.0.1", 1), ("localhost", world.web.address().port()), ("169.254.169.254", 80)] {
        let mut grpc = world.grpc("SayHello", json!({}));
        (grpc.host, grpc.port) = (host.to_owned(), Some(port));
        assert_eq!(kind(&world.fault_of(grpc).await), "authorization", "{host}:{port}");
    }
    assert_eq!(world.web.asked().len(), 0);
    let old = Web::plain(|_| web_stub::Reply::status(200));
    let allow = [format!("http://{}", old.address()).parse().unwrap()].into();
    let world = World::with(http2::Web::plain(|_| Reply::default()), Rules { allow, ..Rules::default() }, None);
    let mut grpc = world.grpc("Look", json!({}));
    grpc.port = Some(old.port());
    assert_eq!(kind(&world.fault_of(grpc).await), "communication");
}

/// Whatever stands in somebody else's document, the host gives an answer or a fault.
#[tokio::test]
async fn a_damaged_proto_document_is_an_answer_or_a_fault() {
    let world = World::new(|_| answer(vec![reply("hi", 1)], "0"));
    let file = world.folder.path().join("app/greet.proto");
    let mut dice = Dice::new(0x9207);
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..300 {
        let damaged = damage(PROTO, &mut dice);
        std::fs::write(&file, &damaged).unwrap();
        match world.house.perform(call(world.grpc("Look", json!({ "name": "Ann", "numbers": [1] })))).await {
            EffectOutcome::Output { .. } => answered += 1,
            EffectOutcome::Faulted { .. } => refused += 1,
            // An answer that does not fit what the document says now may belong to something that was done.
            EffectOutcome::Unknown { .. } => {}
            other => panic!("{other:?} of\n{damaged}"),
        }
    }
    assert!(answered > 3 && refused > 100, "the damage is neither too small nor too great: {answered} {refused}");
}
