//! `call: asyncapi` against Debian's brokers.

mod hostile;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::Role;

use calls::{Limits, Rules};
use serde_json::{Value, json};
use web_stub::broker::{Mosquitto, NatsServer};
use web_stub::{Authority, Reply, Web};
use workflow::asyncapi::{AsyncApiCall, Condition, Consume, Exchange, Message, Protocol, Subscription, Target};
use workflow::calls::{AuthenticationScheme, Call, CallEndpoint, CallRequest};
use workflow::expression::Language;

use crate::house::{House, Options, from_secret, given, kind};

/// A document whose operations are on one server.
fn document(protocol: &str, host: &str) -> String {
    format!(
        r##"
asyncapi: 3.0.0
info: {{ title: Pets, version: 1.0.0 }}
defaultContentType: application/json
servers:
  other: {{ host: kafka.example, protocol: kafka }}
  here: {{ host: '{host}', protocol: {protocol} }}
channels:
  pets:
    address: 'shop/{{shop}}/pets'
    parameters: {{ shop: {{ location: '$message.payload#/shop', enum: [north, south, a/b] }} }}
    messages: {{ pet: {{ $ref: '#/components/messages/pet' }} }}
  adopted:
    address: 'adopted'
    messages: {{ pet: {{ $ref: '#/components/messages/pet' }} }}
  qos0: {{ address: adopted, bindings: {{ mqtt: {{ qos: 0 }} }} }}
  qos2: {{ address: adopted, bindings: {{ mqtt: {{ qos: 2 }} }} }}
operations:
  adopt: {{ action: send, channel: {{ $ref: '#/channels/adopted' }} }}
  sell: {{ action: send, channel: {{ $ref: '#/channels/pets' }} }}
  watch: {{ action: receive, channel: {{ $ref: '#/channels/pets' }} }}
  put: {{ action: send, channel: {{ $ref: '#/channels/adopted' }}, bindings: {{ http: {{ method: PUT }} }} }}
components:
  messages:
    pet:
      correlationId: {{ location: '$message.payload#/id' }}
      payload:
        type: object
        required: [name]
        properties: {{ name: {{ $ref: '#/components/schemas/name' }} }}
  schemas: {{ name: {{ type: string }} }}
"##
    )
}

/// A host that may call one origin, and the document below its folder.
struct World {
    house: House,
    _folder: tempfile::TempDir,
}

impl World {
    fn new(protocol: &str, address: SocketAddr) -> Self {
        let allow = [format!("{protocol}://{address}").parse().unwrap()].into();
        Self::with(&document(protocol, &address.to_string()), Rules { allow, ..Rules::default() })
    }

    fn with(document: &str, rules: Rules) -> Self {
        Self::trusting(document, rules, None)
    }

    fn trusting(document: &str, rules: Rules, authority: Option<Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pets.yaml"), document).unwrap();
        let rules = Rules { files: Some(folder.path().to_owned()), ..rules };
        let limits = Limits { time: Duration::from_secs(10), ..Limits::default() };
        Self { house: House::with(Options { rules, limits, authority }), _folder: folder }
    }

    fn secret(mut self, name: &str, value: &str) -> Self {
        self.house = self.house.secret(name, value);
        self
    }
}

fn asyncapi(target: Target, exchange: Exchange) -> AsyncApiCall {
    AsyncApiCall {
        document: CallEndpoint { uri: "file://pets.yaml".to_owned(), authentication: None },
        target,
        server: None,
        protocol: None,
        exchange,
        authentication: None,
        client: "lw0123456789abcdef0123".to_owned(),
    }
}

fn operation(name: &str) -> Target {
    Target::Operation(name.to_owned())
}

fn channel(name: &str) -> Target {
    Target::Channel(name.to_owned())
}

fn publish(target: Target, payload: Value) -> AsyncApiCall {
    asyncapi(target, Exchange::Publish(Message { payload, headers: Default::default() }))
}

fn subscribe(target: Target, consume: Consume, time_ms: Option<u64>) -> AsyncApiCall {
    asyncapi(target, Exchange::Subscribe(Box::new(Subscription { filter: None, consume, time_ms })))
}

fn condition(text: &str) -> Condition {
    Condition { language: Language::Jq, text: text.to_owned(), variables: BTreeMap::new(), now: None }
}

fn call(asyncapi: AsyncApiCall) -> Call {
    Call { request: CallRequest::AsyncApi(Box::new(asyncapi)), class: None, time_limit_ms: 0 }
}

fn within(asyncapi: AsyncApiCall, time_limit_ms: u64) -> Call {
    Call { time_limit_ms, ..call(asyncapi) }
}

/// Publishes while another task subscribes; what that one took.
async fn to_subscriber(world: &World, subscribe: AsyncApiCall, ready: Duration, messages: Vec<AsyncApiCall>) -> Value {
    world.house.forget_recorded();
    let publish = async {
        tokio::time::sleep(ready).await;
        for message in messages {
            world.house.output(call(AsyncApiCall { client: "lwpublisher00000000000".to_owned(), ..message })).await;
        }
    };
    let (taken, ()) = tokio::join!(world.house.output(call(subscribe)), publish);
    taken
}

const READY: Duration = Duration::from_millis(700);

#[tokio::test]
async fn messages_go_to_a_broker_and_come_from_it_in_both_versions_of_mqtt() {
    let broker = Mosquitto::start("allow_anonymous true\n");
    let world = World::new("mqtt", broker.address());
    for protocol in [Protocol::Mqtt, Protocol::Mqtt5] {
        let over = |call: AsyncApiCall| AsyncApiCall { protocol: Some(protocol), ..call };
        let sell = |shop: &str, name: &str| {
            over(publish(operation("sell"), json!({ "shop": shop, "name": name, "id": format!("{name}-1") })))
        };
        let mut watch = over(subscribe(operation("watch"), Consume::Amount(2), None));
        let Exchange::Subscribe(subscription) = &mut watch.exchange else { panic!("it subscribes") };
        subscription.filter = Some(condition(".payload.name != \"Rex\""));
        let messages = vec![sell("north", "Ann"), sell("south", "Rex"), sell("south", "Bob")];
        let taken = to_subscriber(&world, watch, READY, messages).await;
        let expected = |shop: &str, name: &str| {
            let id = format!("{name}-1");
            json!({ "payload": { "shop": shop, "name": name, "id": id }, "correlationId": id })
        };
        assert_eq!(taken, json!([expected("north", "Ann"), expected("south", "Bob")]), "{protocol:?}");
    }
    // Qualities of service, with the broker's answer each.
    for target in [channel("qos0"), operation("adopt"), channel("qos2")] {
        let sent = world.house.output(call(publish(target, json!({ "name": "Ann" })))).await;
        assert_eq!(sent, json!({ "payload": { "name": "Ann" } }));
    }
    let mut headed = publish(operation("adopt"), json!({ "name": "Ann" }));
    let Exchange::Publish(message) = &mut headed.exchange else { panic!("it publishes") };
    message.headers = [("trace".to_owned(), json!("t-1"))].into_iter().collect();
    let fault = world.house.fault(call(headed.clone())).await;
    assert!(fault.detail.unwrap().contains("MQTT 3.1.1 has no headers"));
    let watch = subscribe(channel("adopted"), Consume::Amount(1), None);
    let five = AsyncApiCall { protocol: Some(Protocol::Mqtt5), ..headed };
    let taken = to_subscriber(&world, watch.clone(), READY, vec![five.clone()]).await;
    assert_eq!(taken, json!([{ "payload": { "name": "Ann" } }]), "3.1.1 shows no headers");
    let watch = AsyncApiCall { protocol: Some(Protocol::Mqtt5), ..watch };
    let taken = to_subscriber(&world, watch, READY, vec![five]).await;
    assert_eq!(taken, json!([{ "payload": { "name": "Ann" }, "headers": { "trace": "t-1" } }]));
}

#[tokio::test]
async fn a_message_that_the_document_does_not_describe_is_not_sent() {
    let broker = Mosquitto::start("allow_anonymous true\n");
    let world = World::new("mqtt", broker.address());
    let fault = world.house.fault(call(publish(operation("adopt"), json!({ "name": 7 })))).await;
    assert_eq!((kind(&fault), fault.status), ("validation", 400));
    assert!(fault.detail.unwrap().contains("/name"));
    let cases = [
        (publish(operation("sell"), json!({ "name": "x", "shop": "west" })), "may not be `west`"),
        (publish(operation("sell"), json!({ "name": "x", "shop": "a/b" })), "cannot be the parameter `shop`"),
        (publish(operation("sell"), json!({ "name": "x" })), "needs `shop`"),
        (publish(operation("steal"), json!({})), "no operation `steal`; it has adopt, sell, watch, put"),
        (
            AsyncApiCall { protocol: Some(Protocol::Ws), ..publish(operation("adopt"), json!({ "name": "x" })) },
            "asks for `ws`",
        ),
    ];
    for (wrong, expected) in cases {
        let fault = world.house.fault(call(wrong)).await;
        assert_eq!(kind(&fault), "configuration", "{expected}");
        assert!(fault.detail.as_deref().unwrap().contains(expected), "{expected}: {fault:?}");
    }
    assert_eq!(world.house.announced(), 0);
}

#[tokio::test]
async fn what_comes_while_no_host_is_there_is_not_lost_and_not_taken_twice() {
    for protocol in [Protocol::Mqtt, Protocol::Mqtt5] {
        let broker = Mosquitto::start("allow_anonymous true\n");
        let world = World::new("mqtt", broker.address());
        let name = |n: u32| json!({ "name": format!("pet-{n}") });
        let watch =
            AsyncApiCall { protocol: Some(protocol), ..subscribe(channel("adopted"), Consume::Amount(4), None) };
        let say = async |n: u32| {
            let one = AsyncApiCall { client: "lwpublisher".to_owned(), ..publish(operation("adopt"), name(n)) };
            world.house.output(call(one)).await;
        };
        // The first host dies after it recorded two messages, and before it acknowledged them.
        let house = &world.house;
        house.dies_after_recording(2);
        let first = async {
            let died = house.client.perform(&call(watch.clone()), &house.approved, house).await;
            assert!(died.outcome.is_none());
        };
        let speak = async {
            tokio::time::sleep(READY).await;
            say(1).await;
            say(2).await;
        };
        tokio::join!(first, speak);
        // Nobody listens now.
        say(3).await;
        say(4).await;
        house.dies_after_recording(usize::MAX);
        let taken = house.output(call(watch)).await;
        let names: Vec<&str> =
            taken.as_array().unwrap().iter().map(|one| one["payload"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["pet-1", "pet-2", "pet-3", "pet-4"], "{protocol:?}");
    }
}

#[tokio::test]
async fn a_subscription_ends_when_it_is_enough_or_its_time_is_up() {
    let broker = Mosquitto::start("allow_anonymous true\n");
    let world = World::new("mqtt", broker.address());
    let adopt = |n: u32| publish(operation("adopt"), json!({ "name": format!("{n}") }));
    let of = |consume, time_ms| subscribe(channel("adopted"), consume, time_ms);
    let forever = || Consume::While(condition("true"));
    assert_eq!(world.house.output(call(of(forever(), Some(300)))).await, json!([]));
    let taken = to_subscriber(&world, of(forever(), Some(2_500)), READY, (1..=12).map(adopt).collect()).await;
    assert_eq!(taken.as_array().unwrap().len(), 12, "more than a broker gives out unacknowledged");
    let until = of(Consume::Until(condition("length == 2")), None);
    let taken = to_subscriber(&world, until, READY, (1..=3).map(adopt).collect()).await;
    assert_eq!(taken.as_array().unwrap().len(), 2);
    let fault = world.house.fault(within(of(forever(), None), 500)).await;
    assert_eq!((kind(&fault), fault.status), ("timeout", 408));
}

#[tokio::test]
async fn a_broker_is_told_who_asks_and_its_refusal_is_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let passwords = folder.path().join("passwords");
    // `ann` with the password `correct-horse-9`, as `mosquitto_passwd` writes it.
    Mosquitto::password(&passwords, "ann", "correct-horse-9");
    let broker = Mosquitto::start(&format!("allow_anonymous false\npassword_file {}\n", passwords.display()));
    let world = World::new("mqtt", broker.address()).secret("broker", "ann:correct-horse-9");
    for protocol in [Protocol::Mqtt, Protocol::Mqtt5] {
        let adopt = AsyncApiCall { protocol: Some(protocol), ..publish(operation("adopt"), json!({ "name": "x" })) };
        let as_whom = |authentication| AsyncApiCall { authentication, ..adopt.clone() };
        world.house.output(call(as_whom(from_secret(AuthenticationScheme::Basic, "broker")))).await;
        let wrong = json!({ "username": "ann", "password": "wrong-password" });
        for authentication in [None, given(AuthenticationScheme::Basic, wrong)] {
            let fault = world.house.fault(call(as_whom(authentication))).await;
            assert_eq!((kind(&fault), fault.status), ("authentication", 401), "{fault:?}");
        }
        let fault = world
            .house
            .fault(call(as_whom(given(AuthenticationScheme::Bearer, json!({ "token": "t-12345678" })))))
            .await;
        assert!(fault.detail.unwrap().contains("use `basic`"));
    }
    assert!(
        world
            .house
            .used
            .lock()
            .unwrap()
            .iter()
            .any(|(name, value)| name == "broker.password" && value == "correct-horse-9")
    );
}

#[tokio::test]
async fn only_an_approved_broker_is_connected_to() {
    let broker = Mosquitto::start("allow_anonymous true\n");
    let (address, port) = (broker.address(), broker.address().port());
    let adopt = || call(publish(operation("adopt"), json!({ "name": "x" })));
    // Approved for another protocol is not approved.
    for allowed in ["http", "mqtts", "nats"] {
        let rules = Rules { allow: [format!("{allowed}://{address}").parse().unwrap()].into(), ..Rules::default() };
        let fault = World::with(&document("mqtt", &address.to_string()), rules).house.fault(adopt()).await;
        assert_eq!((kind(&fault), fault.status), ("authorization", 403), "{allowed}");
        assert!(fault.detail.unwrap().contains(&format!("`mqtt://{address}` is not approved")));
    }
    // A name that leads to loopback, only if it is named as internal.
    let name: workflow::Origin = format!("mqtt://localhost:{port}").parse().unwrap();
    let text = document("mqtt", &format!("localhost:{port}"));
    let allow = Rules { allow: [name.clone()].into(), ..Rules::default() };
    let fault = World::with(&text, allow).house.fault(adopt()).await;
    assert!(fault.detail.unwrap().contains("leads to no public address"));
    World::with(&text, Rules { internal: [name].into(), ..Rules::default() }).house.output(adopt()).await;
    let mapped = Rules { resolve: [("broker.example:1883".to_owned(), address)].into(), ..Rules::default() };
    World::with(&document("mqtt", "broker.example"), mapped).house.output(adopt()).await;
}

#[tokio::test]
async fn with_tls_a_broker_must_be_who_it_says_it_is() {
    let authority = Authority::new();
    let broker = Mosquitto::secure(&authority, "allow_anonymous true\n");
    let host = format!("localhost:{}", broker.address().port());
    let rules = || Rules { internal: [format!("mqtts://{host}").parse().unwrap()].into(), ..Rules::default() };
    let text = document("secure-mqtt", &host);
    let adopt = || call(publish(operation("adopt"), json!({ "name": "x" })));
    let fault = World::with(&text, rules()).house.fault(adopt()).await;
    assert!(fault.detail.unwrap().contains("failed to agree on TLS"));
    World::trusting(&text, rules(), Some(authority)).house.output(adopt()).await;
}

/// What a server of websockets makes of the client's key.
fn accept_of(key: &str) -> String {
    let salted = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, salted.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// A server of websockets: the paths it was asked for with their authorization, and the messages it got.
struct Sockets {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Sockets {
    /// Gives these messages to each that connects, and then only listens.
    async fn giving(messages: &'static [&'static str]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let log = log.clone();
                tokio::spawn(async move {
                    let note = |text: String| log.lock().unwrap().push(text);
                    let mut stream = tokio::io::BufReader::new(stream);
                    let mut head = Vec::new();
                    loop {
                        let mut line = String::new();
                        stream.read_line(&mut line).await.unwrap();
                        match line.trim_end() {
                            "" => break,
                            line => head.push(line.to_owned()),
                        }
                    }
                    let header = |wanted: &str| {
                        let named = |line: &&String| line.to_ascii_lowercase().starts_with(wanted);
                        head.iter().find(named).map(|line| line[wanted.len()..].trim().to_owned())
                    };
                    let path = head[0].split(' ').nth(1).unwrap();
                    note(format!("{path} {}", header("authorization:").unwrap_or("nobody".to_owned())));
                    let accept = accept_of(&header("sec-websocket-key:").unwrap());
                    let answer = format!(
                        "HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: {accept}\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
                    for message in messages {
                        socket.send(Frame::text(*message)).await.unwrap();
                    }
                    while let Some(Ok(message)) = socket.next().await {
                        if let Frame::Text(text) = message {
                            note(text.to_string());
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }
}

#[tokio::test]
async fn messages_go_over_a_websocket_and_come_over_it() {
    let sockets = Sockets::giving(&[r#"{"name": "Ann", "id": 1}"#, "no JSON", r#"{"name": "Bob"}"#]).await;
    let world = World::new("ws", sockets.address).secret("token", "t-12345678");
    let mut adopt = publish(operation("sell"), json!({ "name": "Rex", "shop": "a/b" }));
    adopt.authentication = from_secret(AuthenticationScheme::Bearer, "token");
    world.house.output(call(adopt.clone())).await;
    assert_eq!(world.house.announced(), 1);
    let expected = ["/shop/a%2Fb/pets Bearer t-12345678", r#"{"name":"Rex","shop":"a/b"}"#];
    assert_eq!(*sockets.seen.lock().unwrap(), expected);
    let Exchange::Publish(message) = &mut adopt.exchange else { panic!("it publishes") };
    message.headers = [("trace".to_owned(), json!("t-1"))].into_iter().collect();
    assert!(world.house.fault(call(adopt)).await.detail.unwrap().contains("has no headers"));
    let taken = world.house.output(call(subscribe(channel("adopted"), Consume::Amount(3), None))).await;
    let payloads: Vec<&Value> = taken.as_array().unwrap().iter().map(|one| &one["payload"]).collect();
    assert_eq!(payloads, [&json!({ "name": "Ann", "id": 1 }), &json!("no JSON"), &json!({ "name": "Bob" })]);
    assert_eq!(taken[0]["correlationId"], json!("1"));
}

#[tokio::test]
async fn messages_go_to_nats_and_come_from_it() {
    let server = NatsServer::start(&["--user", "ann", "--pass", "correct-horse-9"]);
    let text = document("nats", &server.address().to_string()).replace("shop/{shop}/pets", "shop.{shop}.pets");
    let rules = Rules { allow: [format!("nats://{}", server.address()).parse().unwrap()].into(), ..Rules::default() };
    let world = World::with(&text, rules).secret("broker", "ann:correct-horse-9");
    let ours = |call: AsyncApiCall| AsyncApiCall {
        authentication: from_secret(AuthenticationScheme::Basic, "broker"),
        ..call
    };
    let sell = |shop: &str, name: &str| ours(publish(operation("sell"), json!({ "shop": shop, "name": name })));
    let mut headed = sell("south", "Bob");
    let Exchange::Publish(message) = &mut headed.exchange else { panic!("it publishes") };
    message.headers = [("trace".to_owned(), json!("t-1"))].into_iter().collect();
    let watch = ours(subscribe(operation("watch"), Consume::Amount(2), None));
    let taken = to_subscriber(&world, watch, READY, vec![sell("north", "Ann"), headed.clone()]).await;
    assert_eq!(taken[0]["payload"], json!({ "shop": "north", "name": "Ann" }));
    assert_eq!(taken[1]["headers"]["trace"], json!("t-1"));
    let fault = world.house.fault(call(publish(operation("adopt"), json!({ "name": "x" })))).await;
    assert_eq!((kind(&fault), fault.status), ("authentication", 401), "{fault:?}");
    let Exchange::Publish(message) = &mut headed.exchange else { panic!("it publishes") };
    message.headers = [("trace".to_owned(), json!("x\r\nPUB adopted 0\r\n"))].into_iter().collect();
    let fault = world.house.fault(call(headed)).await;
    assert!(fault.detail.unwrap().contains("no header of NATS can have"));
}

#[tokio::test]
async fn over_http_a_message_is_a_request_and_events_are_messages() {
    let web = Web::plain(|asked| match asked.method.as_str() {
        "GET" => Reply::new(
            200,
            &[("content-type", "text/event-stream")],
            "data: {\"name\": \"Ann\", \"id\": \"1\"}\n\n: nothing\n\ndata: {\"name\": \"Bob\"}\n\n",
        ),
        _ => Reply::json(r#"{"taken": true}"#),
    });
    let world = World::new("http", web.address());
    let output = world.house.output(call(publish(operation("adopt"), json!({ "name": "Ann" })))).await;
    assert_eq!(output, json!({ "taken": true }));
    world.house.output(call(publish(operation("put"), json!({ "name": "Ann" })))).await;
    world.house.output(call(publish(operation("sell"), json!({ "name": "Ann", "shop": "a/b" })))).await;
    assert_eq!(web.lines(), ["POST /adopted", "PUT /adopted", "POST /shop/a%2Fb/pets"]);
    assert_eq!(web.asked()[0].text(), r#"{"name":"Ann"}"#);
    assert_eq!(web.asked()[0].header("content-type"), Some("application/json"));
    let taken = world.house.output(call(subscribe(channel("adopted"), Consume::Amount(2), None))).await;
    assert_eq!(taken[0], json!({ "payload": { "name": "Ann", "id": "1" }, "correlationId": "1" }));
    assert_eq!(taken[1]["payload"]["name"], json!("Bob"));
    assert_eq!(world.house.announced(), 2, "PUT may be sent twice");
}
