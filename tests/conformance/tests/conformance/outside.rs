//! The services that scenarios call, as far as those need them, on loopback and
//! with TLS: a pet store and an echo, as the official kit has them, and
//! `*.example`, of which `features/README.md` tells.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::{Value, json};
use web_stub::{Asked, Authority, Reply, Web, http2};

const HOSTS: &[&str] = &[
    "petstore.swagger.io",
    "petstore3.swagger.io",
    "httpbin.org",
    "www.httpbin.org",
    "identity.example",
    "agent.example",
    "tools.example",
    "documents.example",
];
/// Speaks HTTP/2 and nothing else.
const GREETER: &str = "greeter.example";

/// One server for all of them and one for gRPC, as long as this process lives.
pub struct Outside {
    web: Web,
    greeter: http2::Web,
    authority: PathBuf,
    _folder: tempfile::TempDir,
}

impl Outside {
    pub fn known() -> &'static Self {
        static OUTSIDE: OnceLock<Outside> = OnceLock::new();
        OUTSIDE.get_or_init(|| {
            let authority = Authority::new();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("authority.pem");
            std::fs::write(&path, authority.pem()).unwrap();
            let web = Web::secure(&authority, HOSTS, answer);
            let greeter = http2::Web::secure(&authority, &[GREETER], greet);
            Self { web, greeter, authority: path, _folder: folder }
        })
    }

    /// What points the program here, for those of the hosts that the definition names.
    pub fn reach(&self, definition: &str) -> Vec<String> {
        let named = HOSTS.iter().filter(|host| definition.contains(&format!("https://{host}/")));
        let mut arguments: Vec<String> = named
            .flat_map(|host| ["--http-resolve".to_owned(), format!("{host}:443={}", self.web.address())])
            .collect();
        if definition.contains(GREETER) {
            arguments.extend(["--http-resolve".to_owned(), format!("{GREETER}:443={}", self.greeter.address())]);
        }
        if !arguments.is_empty() {
            arguments.extend(["--http-ca".to_owned(), self.authority.display().to_string()]);
        }
        arguments
    }
}

fn answer(asked: &Asked) -> Reply {
    let host = asked.header("host").unwrap_or_default().trim_end_matches(":443");
    let (path, query) = asked.target.split_once('?').unwrap_or((&asked.target, ""));
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (host, parts.as_slice()) {
        ("petstore.swagger.io", ["v2", parts @ ..]) => pet_store(asked, parts, query, &swagger()),
        ("petstore3.swagger.io", ["api", "v3", parts @ ..]) => pet_store(asked, parts, query, &open_api()),
        ("httpbin.org" | "www.httpbin.org", parts) => echo(asked, parts),
        ("identity.example", parts) => identity(asked, parts),
        ("agent.example", [".well-known", "agent.json"]) => found(&json!({ "name": "Agent", "url": "/ask" })),
        ("agent.example" | "tools.example", _) => converse(asked),
        ("documents.example", ["greet.proto"]) => Reply::new(200, &[("content-type", "text/plain")], PROTO),
        ("documents.example", ["bearer"]) => echo(asked, &parts),
        ("documents.example", ["secured.json"]) => found(&secured()),
        _ => Reply::status(404),
    }
}

fn found(value: &Value) -> Reply {
    Reply::json(&value.to_string())
}

fn missing() -> Reply {
    let body = json!({ "code": 1, "type": "error", "message": "Pet not found" });
    Reply::new(404, &[("content-type", "application/json")], body.to_string())
}

fn pet(id: u64, status: &str) -> Value {
    let tags = json!([{ "id": 1, "name": "white" }]);
    json!({ "id": id, "name": "Milou", "category": { "id": 1, "name": "dogs" }, "photoUrls": [], "tags": tags, "status": status })
}

fn pet_store(asked: &Asked, parts: &[&str], query: &str, document: &Value) -> Reply {
    let one = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    match (asked.method.as_str(), parts) {
        ("GET", ["swagger.json" | "openapi.json"]) => found(document),
        ("GET", ["pet", "findByStatus"]) => {
            let status = one("status").unwrap_or("available");
            found(&json!([pet(1, status), pet(2, status), pet(3, status)]))
        }
        ("GET", ["pet", "findByTags"]) => found(&json!([pet(1, "available")])),
        ("GET" | "DELETE", ["pet", id]) => match id.parse() {
            Ok(id) => found(&pet(id, "available")),
            Err(_) => missing(),
        },
        ("POST" | "PUT", ["pet"]) => match serde_json::from_slice(&asked.body) {
            Ok(pet) => found(&pet),
            Err(_) => Reply::status(405),
        },
        ("GET", ["store", "inventory"]) => found(&json!({ "available": 3, "pending": 1, "sold": 0 })),
        _ => missing(),
    }
}

/// The operations above, as both versions of the document have them.
fn operations(body: &Value) -> Value {
    let parameter = |name: &str, place: &str| json!({ "name": name, "in": place, "required": true, "type": "string", "schema": { "type": "string" } });
    let operation = |id: &str, parameters: Value| json!({ "operationId": id, "parameters": parameters, "responses": { "200": { "description": "found" } } });
    let mut add = operation("addPet", json!([]));
    add.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    json!({
        "/pet/findByStatus": { "get": operation("findPetsByStatus", json!([parameter("status", "query")])) },
        "/pet/findByTags": { "get": operation("findPetsByTags", json!([parameter("tags", "query")])) },
        "/pet/{petId}": {
            "get": operation("getPetById", json!([parameter("petId", "path")])),
            "delete": operation("deletePet", json!([parameter("petId", "path")])),
        },
        "/pet": { "post": add },
        "/store/inventory": { "get": operation("getInventory", json!([])) },
    })
}

fn swagger() -> Value {
    let body = json!({
        "consumes": ["application/json"],
        "parameters": [{ "name": "body", "in": "body", "required": true, "schema": { "type": "object" } }],
    });
    json!({
        "swagger": "2.0", "info": { "title": "Pets", "version": "1" }, "host": "petstore.swagger.io",
        "basePath": "/v2", "schemes": ["https"], "paths": operations(&body),
    })
}

fn open_api() -> Value {
    let body = json!({
        "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object" } } } },
    });
    json!({
        "openapi": "3.0.4", "info": { "title": "Pets", "version": "1" },
        "servers": [{ "url": "/api/v3" }], "paths": operations(&body),
    })
}

fn echo(asked: &Asked, parts: &[&str]) -> Reply {
    let credential = asked.header("authorization").unwrap_or_default();
    match parts {
        ["basic-auth" | "hidden-basic-auth", name, password] => {
            let right = format!("Basic {}", base64(format!("{name}:{password}").as_bytes()));
            match credential == right {
                true => found(&json!({ "authenticated": true, "user": name })),
                false => Reply::new(401, &[("www-authenticate", "Basic realm=\"Fake Realm\"")], ""),
            }
        }
        ["digest-auth", "auth", name, _] => {
            // That the response is right is tested where it is calculated.
            let realm = "Digest realm=\"fake\", nonce=\"0123456789\", qop=\"auth\", algorithm=MD5";
            match credential.starts_with(&format!("Digest username=\"{name}\"")) && credential.contains("response=") {
                true => found(&json!({ "authenticated": true, "user": name })),
                false => Reply::new(401, &[("www-authenticate", realm)], ""),
            }
        }
        ["bearer"] => match credential.strip_prefix("Bearer ") {
            Some(token) => found(&json!({ "authenticated": true, "token": token })),
            None => Reply::new(401, &[("www-authenticate", "Bearer")], ""),
        },
        ["status", status] => Reply::status(status.parse().unwrap_or(404)),
        ["get" | "post" | "put" | "delete" | "patch" | "anything" | "headers", ..] => {
            let headers: serde_json::Map<String, Value> =
                asked.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
            found(&json!({ "url": format!("https://httpbin.org{}", asked.target), "headers": headers, "json": body }))
        }
        _ => Reply::status(404),
    }
}

/// The few bytes of a credential; no crate is needed for that.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |value: u32| char::from(LETTERS[(value & 63) as usize]);
    let chunk = |chunk: &[u8]| {
        let value =
            chunk.iter().enumerate().fold(0, |value, (place, byte)| value | u32::from(*byte) << (16 - 8 * place));
        let all = [letter(value >> 18), letter(value >> 12), letter(value >> 6), letter(value)];
        (0..4).map(|place| if place <= chunk.len() { all[place] } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(chunk).collect()
}

/// Gives a token to whoever sends all that the first part of the path names, like `/scope=a&username=b`.
fn identity(asked: &Asked, parts: &[&str]) -> Reply {
    let (wanted, rest) = parts.split_first().unwrap_or((&"", &[]));
    match (asked.method.as_str(), rest) {
        ("GET", [".well-known", "openid-configuration"]) => {
            let authority = format!("https://identity.example/{wanted}");
            found(&json!({ "issuer": authority, "token_endpoint": format!("{authority}/oauth2/token") }))
        }
        ("POST", ["oauth2", "token" | "other"]) => {
            let sent = match serde_json::from_slice::<serde_json::Map<String, Value>>(&asked.body) {
                Ok(members) => members
                    .into_iter()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
                    .collect(),
                Err(_) => asked.text().split('&').map(str::to_owned).collect::<Vec<_>>(),
            };
            let basic = asked.header("authorization").map(|value| format!("authorization={}", value.replace(' ', "+")));
            let has = |pair: &str| sent.iter().chain(&basic).any(|one| one == pair);
            match wanted.split('&').all(has) {
                true => found(&json!({ "access_token": token(wanted), "token_type": "Bearer", "expires_in": 60 })),
                false => Reply::new(400, &[("content-type", "application/json")], r#"{"error":"invalid_request"}"#),
            }
        }
        _ => Reply::status(404),
    }
}

/// A token that says who issued it; nobody looks at its signature.
fn token(wanted: &str) -> String {
    let part = |value: Value| base64(value.to_string().as_bytes()).replace('+', "-").replace('/', "_").replace('=', "");
    let issuer = format!("https://identity.example/{wanted}");
    format!("{}.{}.c2lnbmVk", part(json!({ "alg": "none" })), part(json!({ "iss": issuer })))
}

/// An agent and a server of tools in one: each says what it was asked.
fn converse(asked: &Asked) -> Reply {
    let Ok(message) = serde_json::from_slice::<Value>(&asked.body) else { return Reply::status(400) };
    let Some(id) = message.get("id") else { return Reply::status(202) };
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": { "tools": {} },
            "serverInfo": { "name": format!("for {}", message["params"]["clientInfo"]["name"]), "version": "1" },
        }),
        Some(method) => json!({ "method": method, "parameters": message["params"], "key": asked.header("x-key") }),
        None => return Reply::status(400),
    };
    found(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

/// An operation for those with a token.
fn secured() -> Value {
    let operation = json!({ "operationId": "look", "responses": { "200": { "description": "found" } } });
    json!({
        "openapi": "3.0.4", "info": { "title": "Secured", "version": "1" },
        "servers": [{ "url": "/" }], "paths": { "/bearer": { "get": operation } },
    })
}

const PROTO: &str = "syntax = \"proto3\";
package greet;
service Greeter { rpc Greet (Request) returns (Answer) { option idempotency_level = NO_SIDE_EFFECTS; } }
message Request { string name = 1; }
message Answer { string text = 1; }
";

/// Greets whoever has a token, whatever the name.
fn greet(asked: &Asked) -> http2::Reply {
    let known = asked.header("authorization") == Some("Bearer abc") && asked.target == "/greet.Greeter/Greet";
    let answer = b"\0\0\0\0\x07\x0a\x05hello".to_vec();
    http2::Reply {
        status: 200,
        headers: vec![("content-type", "application/grpc".to_owned())],
        body: if known { vec![answer] } else { Vec::new() },
        trailers: Some(vec![("grpc-status", if known { "0" } else { "16" }.to_owned())]),
        ..http2::Reply::default()
    }
}
