//! Who a request comes from.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use web_stub::{Asked, Reply, Web};
use workflow::calls::AuthenticationScheme::{Basic, Bearer, Digest, Oauth2, Oidc};

use crate::house::{House, as_whom, at, completed, from_secret, given, kind};

#[tokio::test]
async fn basic_and_bearer_come_from_the_definition_or_from_a_secret() {
    let basic = format!("Basic {}", STANDARD.encode("ann:correct horse"));
    let cases = [
        (given(Basic, json!({"username": "ann", "password": "correct horse"})), basic.as_str()),
        (from_secret(Basic, "text"), basic.as_str()),
        (from_secret(Basic, "object"), basic.as_str()),
        (given(Bearer, json!({"token": "t"})), "Bearer t"),
        (from_secret(Bearer, "token"), "Bearer a-long-token"),
        (from_secret(Bearer, "token-object"), "Bearer a-long-token"),
    ];
    let web = Web::plain(|_| Reply::json("1"));
    let house = House::of(&[&web])
        .secret("text", "ann:correct horse")
        .secret("object", r#"{"username": "ann", "password": "correct horse"}"#)
        .secret("token", "a-long-token")
        .secret("token-object", r#"{"token": "a-long-token"}"#);
    for (authentication, expected) in cases {
        house.output(as_whom(&at(&web, "/"), authentication.clone())).await;
        assert_eq!(web.asked().pop().unwrap().header("authorization"), Some(expected), "{authentication:?}");
    }
    let used = house.used.lock().unwrap().clone();
    assert!(used.contains(&("object.password".to_owned(), "correct horse".to_owned())), "{used:?}");
    assert!(used.contains(&("token-object.token".to_owned(), "a-long-token".to_owned())), "{used:?}");
}

#[tokio::test]
async fn secrets_complete_what_the_definition_gives() {
    let token = json!({"authority": "AUTHORITY", "grant": "password", "client": {"id": "me", "secret": null}, "username": "ann", "password": null});
    let web = Web::plain(|asked| match asked.target.as_str() {
        "/oauth2/token" => Reply::json(r#"{"access_token": "t-12345678"}"#),
        _ => Reply::json("1"),
    });
    let token: Value = serde_json::from_str(&token.to_string().replace("AUTHORITY", &at(&web, ""))).unwrap();
    let house = House::of(&[&web]).secret("pass", "correct horse").secret("key", r#"{"token": "as it is"}"#);
    let basic = format!("Basic {}", STANDARD.encode("ann:correct horse"));
    let cases = [
        (completed(Basic, json!({"username": "ann", "password": null}), &[("/password", "pass")]), basic.as_str()),
        (completed(Bearer, json!({"token": null}), &[("/token", "pass")]), "Bearer correct horse"),
        // No field of a secret: the whole of it.
        (completed(Bearer, json!({"token": null}), &[("/token", "key")]), r#"Bearer {"token": "as it is"}"#),
        (completed(Oauth2, token, &[("/client/secret", "key"), ("/password", "pass")]), "Bearer t-12345678"),
    ];
    for (authentication, expected) in cases {
        house.output(as_whom(&at(&web, "/"), authentication.clone())).await;
        assert_eq!(web.asked().pop().unwrap().header("authorization"), Some(expected), "{authentication:?}");
    }
    let asked = web.asked().into_iter().find(|asked| asked.target == "/oauth2/token").unwrap();
    let form = String::from_utf8(asked.body.to_vec()).unwrap();
    assert!(form.contains("password=correct+horse") && form.contains("client_secret=%7B%22token%22"), "{form}");
    let used = house.used.lock().unwrap().clone();
    assert!(used.contains(&("pass".to_owned(), "correct horse".to_owned())), "{used:?}");
}

#[tokio::test]
async fn a_secret_that_cannot_complete_them_is_a_configuration_error_and_nothing_is_sent() {
    let web = Web::plain(|_| Reply::json("1"));
    let house =
        House::of(&[&web]).secret("short", "pass").secret("lines", "a-long-token\r\nx: y").secret("ok", "a-long-token");
    for (name, pointer) in [("short", "/token"), ("missing", "/token"), ("lines", "/token"), ("ok", "/tokn")] {
        let authentication = completed(Bearer, json!({"token": null}), &[(pointer, name)]);
        let fault = house.fault(as_whom(&at(&web, "/"), authentication)).await;
        assert_eq!(kind(&fault), "configuration", "{name}");
        assert!(!fault.detail.unwrap().contains("a-long-token"), "{name}");
    }
    assert_eq!(web.lines(), [""; 0]);
}

#[tokio::test]
async fn a_secret_that_does_not_fit_is_a_configuration_error_that_does_not_show_it() {
    let web = Web::plain(|_| Reply::json("1"));
    let house = House::of(&[&web])
        .secret("plain", "no-colon-in-here")
        .secret("half", r#"{"username": "hidden-value"}"#)
        .secret("number", r#"{"username": "hidden-value", "password": 12345678}"#)
        .secret("short", "ann:pass")
        .secret("typed", r#"{"authority": "hidden-value", "grant": "password", "scopes": "hidden-value"}"#)
        .secret("lines", "a-long-token\r\nx: y");
    let cases = [
        from_secret(Basic, "plain"),
        from_secret(Basic, "half"),
        from_secret(Basic, "number"),
        from_secret(Basic, "short"),
        from_secret(Basic, "missing"),
        from_secret(Oauth2, "plain"),
        from_secret(Oauth2, "typed"),
        from_secret(Bearer, "lines"),
    ];
    for authentication in cases {
        let fault = house.fault(as_whom(&at(&web, "/"), authentication.clone())).await;
        assert_eq!(kind(&fault), "configuration", "{authentication:?}");
        let detail = fault.detail.unwrap();
        assert!(!detail.contains("hidden-value") && !detail.contains("12345678"), "{detail}");
    }
    let fault = house.fault(as_whom(&at(&web, "/"), from_secret(Basic, "plain"))).await;
    assert!(fault.detail.unwrap().ends_with("it is neither `username:password` nor a JSON object"));
    assert_eq!(web.lines(), [""; 0]);
}

#[tokio::test]
async fn a_digest_challenge_is_answered() {
    let web = Web::plain(|asked| match asked.header("authorization") {
        None => {
            let challenge = r#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256, opaque="o""#;
            Reply::new(401, &[("WWW-Authenticate", "Basic realm=x"), ("WWW-Authenticate", challenge)], "")
        }
        Some(answer) if answer.starts_with("Digest username=\"ann\", realm=\"r\", nonce=\"n\", uri=\"/a?b=c\"") => {
            Reply::json("1")
        }
        Some(_) => Reply::status(403),
    });
    let user = json!({"username": "ann", "password": "secret"});
    let house = House::of(&[&web]);
    assert_eq!(house.output(as_whom(&at(&web, "/a?b=c"), given(Digest, user))).await, json!(1));
    assert_eq!(web.lines(), ["GET /a?b=c", "GET /a?b=c"]);
}

/// An authority that counts its tokens, and a service that takes the newest.
fn authority(expires_in: u64) -> Web {
    let count = std::sync::atomic::AtomicUsize::new(0);
    Web::plain(move |asked| match asked.target.split('?').next().unwrap() {
        "/oauth2/token" | "/custom/token" => {
            let number = 1 + count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            Reply::json(&format!(
                r#"{{"access_token": "token-number-{number}", "expires_in": {expires_in}, "token_type": "Bearer"}}"#
            ))
        }
        _ => Reply::json(&json!(asked.header("authorization")).to_string()),
    })
}

fn token_requests(web: &Web) -> Vec<Asked> {
    web.asked().into_iter().filter(|asked| asked.method == "POST").collect()
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_kept_until_it_expires() {
    for (expires_in, requests) in [(3600, 1), (20, 3)] {
        let web = authority(expires_in);
        let house = House::of(&[&web]);
        let policy = json!({
            "authority": at(&web, ""), "grant": "client_credentials", "client": {"id": "me", "secret": "s3cret"},
            "scopes": ["read", "write"], "audiences": ["a", "b"],
        });
        for round in 1..=3 {
            let expected = format!("Bearer token-number-{}", if requests == 1 { 1 } else { round });
            assert_eq!(house.output(as_whom(&at(&web, "/x"), given(Oauth2, policy.clone()))).await, json!(expected));
        }
        let asked = token_requests(&web);
        assert_eq!(asked.len(), requests);
        assert_eq!(
            asked[0].text(),
            "grant_type=client_credentials&scope=read+write&audience=a&audience=b&client_id=me&client_secret=s3cret"
        );
        assert!(house.used.lock().unwrap().iter().any(|(_, value)| value == "token-number-1"));
    }
}

#[tokio::test]
async fn each_grant_and_each_way_to_prove_a_client_has_its_form() {
    let web = authority(0);
    let house = House::of(&[&web]);
    let ask = async |more: Value| {
        let mut policy = json!({"authority": at(&web, ""), "grant": "client_credentials"});
        policy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        house.output(as_whom(&at(&web, "/x"), given(Oauth2, policy))).await;
        token_requests(&web).pop().unwrap()
    };
    let asked = ask(json!({"grant": "password", "username": "ann", "password": "p w", "client": {"id": "me", "authentication": "none"}})).await;
    assert_eq!(asked.text(), "grant_type=password&username=ann&password=p+w&client_id=me");
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let token = |token: &str| json!({"token": token, "type": "t"});
    let asked = ask(json!({"grant": exchange, "subject": token("s"), "actor": token("a")})).await;
    assert_eq!(
        asked.text(),
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=s&subject_token_type=t&actor_token=a&actor_token_type=t"
    );
    let asked = ask(json!({"client": {"id": "m:e", "secret": "s", "authentication": "client_secret_basic"}})).await;
    assert_eq!(asked.header("authorization"), Some(&*format!("Basic {}", STANDARD.encode("m%3Ae:s"))));
    assert_eq!(asked.text(), "grant_type=client_credentials");
    let asked = ask(json!({"client": {"id": "me", "assertion": "j.w.t", "authentication": "private_key_jwt"}})).await;
    assert!(asked.text().contains("client_assertion=j.w.t&"), "{}", asked.text());
    let asked = ask(json!({"client": {"id": "me", "secret": "s", "authentication": "client_secret_jwt"}})).await;
    let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(&asked.body).into_owned().collect();
    let claims = form["client_assertion"].split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("me"), &json!("me"), &json!(at(&web, "/oauth2/token")))
    );
    let asked = ask(json!({"request": {"encoding": "application/json"}, "endpoints": {"token": "custom/token"}})).await;
    assert_eq!((asked.target.as_str(), asked.header("content-type")), ("/custom/token", Some("application/json")));
    assert_eq!(asked.text(), r#"{"grant_type":"client_credentials"}"#);
}

#[tokio::test]
async fn a_token_that_was_taken_back_is_asked_for_again() {
    let web = Web::plain(|asked| match asked.header("authorization") {
        None => Reply::json(r#"{"access_token": "token-of-today", "expires_in": 3600}"#),
        Some(_) => Reply::status(401),
    });
    let house = House::of(&[&web]);
    let policy = given(Oauth2, json!({"authority": at(&web, ""), "grant": "client_credentials"}));
    for (round, requests) in [(1, 1), (2, 2)] {
        let fault = house.fault(as_whom(&at(&web, "/x"), policy.clone())).await;
        assert_eq!((kind(&fault), fault.status), ("communication", 401));
        assert_eq!(token_requests(&web).len(), requests, "round {round}");
    }
}

#[tokio::test]
async fn an_authority_that_says_no_is_an_authentication_error() {
    let cases = [
        Reply::new(400, &[("content-type", "application/json")], r#"{"error": "invalid_client"}"#),
        Reply::json(r#"{"something": "else"}"#),
        Reply::json(r#"{"access_token": "a-mac-token", "token_type": "mac"}"#),
        Reply::json("no json"),
    ];
    for reply in cases {
        let web = Web::plain(move |_| reply.clone());
        let policy = given(Oauth2, json!({"authority": at(&web, ""), "grant": "client_credentials"}));
        let fault = House::of(&[&web]).fault(as_whom(&at(&web, "/x"), policy)).await;
        assert_eq!((kind(&fault), fault.status), ("authentication", 401));
        assert_eq!(web.lines(), ["POST /oauth2/token"]);
    }
}

#[tokio::test]
async fn an_authority_needs_an_approval_of_its_own() {
    let tokens = authority(0);
    let web = Web::plain(|_| Reply::json("1"));
    let policy = given(Oauth2, json!({"authority": at(&tokens, ""), "grant": "client_credentials"}));
    let fault = House::of(&[&web]).fault(as_whom(&at(&web, "/"), policy)).await;
    assert_eq!(kind(&fault), "authorization");
    assert_eq!((tokens.lines(), web.lines()), (vec![], vec![]));
}

#[tokio::test]
async fn tokens_of_other_issuers_are_not_taken() {
    let payload = URL_SAFE_NO_PAD.encode(r#"{"iss": "https://good.example"}"#);
    let web = Web::plain(move |asked| match asked.method.as_str() {
        "POST" => Reply::json(&format!(r#"{{"access_token": "head.{payload}.sign"}}"#)),
        _ => Reply::json("1"),
    });
    let house = House::of(&[&web]);
    let policy = |issuer: &str| {
        given(Oauth2, json!({"authority": at(&web, ""), "grant": "client_credentials", "issuers": [issuer]}))
    };
    assert_eq!(house.output(as_whom(&at(&web, "/"), policy("https://good.example"))).await, json!(1));
    assert_eq!(kind(&house.fault(as_whom(&at(&web, "/"), policy("https://other.example"))).await), "authentication");
}

#[tokio::test]
async fn openid_connect_finds_its_endpoint_in_the_document_of_the_right_issuer() {
    for right in [true, false] {
        let web = Web::plain(move |asked| {
            let base = format!("http://{}", asked.header("host").unwrap());
            let issuer = if right { format!("{base}/realm") } else { "https://evil.example".to_owned() };
            match asked.target.as_str() {
                "/realm/.well-known/openid-configuration" => {
                    Reply::json(&json!({"issuer": issuer, "token_endpoint": format!("{base}/t")}).to_string())
                }
                "/t" => Reply::json(r#"{"access_token": "a-good-token"}"#),
                _ => Reply::json(&json!(asked.header("authorization")).to_string()),
            }
        });
        let house = House::of(&[&web]);
        let policy = given(Oidc, json!({"authority": at(&web, "/realm"), "grant": "client_credentials"}));
        let call = as_whom(&at(&web, "/x"), policy);
        if right {
            assert_eq!(house.output(call).await, json!("Bearer a-good-token"));
            assert_eq!(token_requests(&web)[0].text(), "grant_type=client_credentials&scope=openid");
        } else {
            assert_eq!(kind(&house.fault(call).await), "authentication");
        }
    }
}
