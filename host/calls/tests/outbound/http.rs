//! What is sent, and what of the answer is the output.

use calls::Rules;
use serde_json::{Value, json};
use web_stub::{Asked, Authority, Reply, Web, http2};
use workflow::EffectOutcome;
use workflow::calls::HttpOutput;
use workflow::effect::EffectClass;

use crate::house::{House, Options, at, call, declared, get, http, kind, rules_of};

#[tokio::test]
async fn each_status_is_an_answer_or_an_error_as_the_specification_says() {
    let web = Web::plain(|asked| Reply::status(asked.target[1..].parse().unwrap()));
    let house = House::of(&[&web]);
    for status in
        [200, 201, 204, 206, 299, 300, 301, 302, 303, 304, 307, 308, 399, 400, 401, 404, 409, 429, 500, 503, 599]
    {
        for redirect in [false, true] {
            let mut http = http("GET", &at(&web, &format!("/{status}")));
            http.redirect = redirect;
            let is_answer = status < 300 || (redirect && status < 400);
            match house.perform(call(http)).await {
                EffectOutcome::Output { output } => {
                    assert!(is_answer, "{status} {redirect}");
                    assert_eq!(output, Value::Null);
                }
                EffectOutcome::Faulted { error } => {
                    assert!(!is_answer, "{status} {redirect}: {error:?}");
                    assert_eq!((kind(&error), error.status), ("communication", status));
                }
                other => panic!("{status}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_answer_comes_in_three_forms() {
    let web = Web::plain(|_| {
        Reply::new(201, &[("Content-Type", "application/json"), ("X-Two", "a"), ("X-Two", "b")], r#"{"id":1}"#)
    });
    let house = House::of(&[&web]);
    let output = async |output| {
        house.output(call(workflow::calls::HttpCall { output, ..http("PUT", &at(&web, "/pet?x=1")) })).await
    };
    assert_eq!(output(HttpOutput::Content).await, json!({"id": 1}));
    assert_eq!(output(HttpOutput::Raw).await, json!("eyJpZCI6MX0="));
    let response = output(HttpOutput::Response).await;
    assert_eq!(response["statusCode"], 201);
    assert_eq!(response["content"], json!({"id": 1}));
    assert_eq!(response["headers"]["x-two"], "a, b");
    assert_eq!(response["request"]["method"], "PUT");
    assert_eq!(response["request"]["uri"], at(&web, "/pet?x=1"));
    assert_eq!(response["request"]["headers"]["accept"], "application/json, */*;q=0.5");
}

#[tokio::test]
async fn method_query_headers_and_body_arrive_as_they_are_given() {
    let web = Web::plain(|_| Reply::json("{}"));
    let house = House::of(&[&web]);
    let mut http = http("PATCH", &at(&web, "/a%20b/é?first=1#gone"));
    http.query = vec![("q".to_owned(), "x&y=z".to_owned()), ("q".to_owned(), "ü".to_owned())];
    http.headers = vec![("X-Custom".to_owned(), "as it is".to_owned()), ("Accept".to_owned(), "text/csv".to_owned())];
    http.body = Some(json!({"status": "sold"}));
    house.output(call(http)).await;
    let asked: Vec<Asked> = web.asked();
    let [asked] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!(asked.line(), "PATCH /a%20b/%C3%A9?first=1&q=x%26y%3Dz&q=%C3%BC");
    assert_eq!(asked.header("x-custom"), Some("as it is"));
    assert_eq!(asked.header("accept"), Some("text/csv"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    assert_eq!(asked.header("host"), Some(&*web.address().to_string()));
    assert_eq!(asked.text(), r#"{"status":"sold"}"#);
}

#[tokio::test]
async fn what_belongs_to_the_client_no_definition_sets() {
    let web = Web::plain(|_| Reply::json("{}"));
    let house = House::of(&[&web]);
    for name in [
        "Host",
        "Content-Length",
        "transfer-encoding",
        "Connection",
        "Upgrade",
        "TE",
        "Accept-Encoding",
        "Proxy-Authorization",
    ] {
        let mut http = http("GET", &at(&web, "/"));
        http.headers = vec![(name.to_owned(), "x".to_owned())];
        assert_eq!(kind(&house.fault(call(http)).await), "configuration", "{name}");
    }
    let mut injected = http("GET", &at(&web, "/"));
    injected.headers = vec![("x-a".to_owned(), "b\r\nx-evil: 1".to_owned())];
    assert_eq!(kind(&house.fault(call(injected)).await), "configuration");
    assert_eq!(web.lines(), [""; 0]);
}

#[tokio::test]
async fn redirections_are_followed_as_their_status_says() {
    let web = Web::plain(|asked| match asked.target.as_str() {
        "/end" => Reply::json(&format!("{:?}", asked.line())),
        other => Reply::new(other[1..].parse().unwrap(), &[("Location", "/end")], ""),
    });
    let house = House::of(&[&web]);
    let cases = [
        ("GET", 301, "GET"),
        ("GET", 302, "GET"),
        ("GET", 303, "GET"),
        ("GET", 307, "GET"),
        ("GET", 308, "GET"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
        ("PUT", 301, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 307, "DELETE"),
    ];
    for (method, status, then) in cases {
        let mut http = http(method, &at(&web, &format!("/{status}")));
        http.redirect = true;
        http.body = (method != "GET").then(|| json!({"a": 1}));
        assert_eq!(house.output(call(http)).await, format!("{then} /end"), "{method} {status}");
        let last = web.asked().pop().unwrap();
        assert_eq!(last.text(), if then == "GET" { "" } else { r#"{"a":1}"# }, "{method} {status}");
        assert_eq!(last.header("content-type").is_some(), then == method && method != "GET", "{method} {status}");
    }
}

#[tokio::test]
async fn a_circle_of_redirections_ends() {
    let web = Web::plain(|_| Reply::new(302, &[("Location", "/again")], ""));
    let mut http = http("GET", &at(&web, "/"));
    http.redirect = true;
    let fault = House::of(&[&web]).fault(call(http)).await;
    assert_eq!(kind(&fault), "communication");
    assert!(fault.detail.unwrap().contains("more than 10 redirections"));
    assert_eq!(web.lines().len(), 11);
}

#[tokio::test]
async fn across_origins_credentials_and_headers_of_the_definition_stay_behind() {
    let other = Web::plain(|_| Reply::json("1"));
    let target = at(&other, "/there");
    let web = Web::plain(move |_| Reply::new(307, &[("Location", &target)], ""));
    let house = House::of(&[&web, &other]);
    let mut http = http("GET", &at(&web, "/"));
    http.redirect = true;
    http.headers = vec![("x-api-key".to_owned(), "k".to_owned()), ("cookie".to_owned(), "c".to_owned())];
    http.endpoint.authentication =
        crate::house::given(workflow::calls::AuthenticationScheme::Bearer, json!({"token": "t"}));
    assert_eq!(house.output(call(http)).await, json!(1));
    assert_eq!(web.asked()[0].header("authorization"), Some("Bearer t"));
    let there = &other.asked()[0];
    for name in ["authorization", "x-api-key", "cookie"] {
        assert_eq!(there.header(name), None, "{name}");
    }
    assert!(there.header("accept").is_some());
}

#[tokio::test]
async fn a_request_that_must_not_be_sent_twice_is_announced_once_before_it_goes() {
    let web = Web::plain(|_| Reply::json("{}"));
    let cases = [
        ("GET", 0),
        ("HEAD", 0),
        ("OPTIONS", 0),
        ("PUT", 0),
        ("DELETE", 0),
        ("POST", 1),
        ("PATCH", 1),
        ("PROPFIND", 1),
    ];
    for (method, announced) in cases {
        let house = House::of(&[&web]);
        house.perform(call(http(method, &at(&web, "/")))).await;
        assert_eq!(house.announced(), announced, "{method}");
    }
    let house = House::of(&[&web]);
    house.output(declared(http("POST", &at(&web, "/")), EffectClass::Idempotent)).await;
    assert_eq!(house.announced(), 0);
    house.output(declared(http("GET", &at(&web, "/")), EffectClass::Manual)).await;
    assert_eq!(house.announced(), 1);
}

#[tokio::test]
async fn an_answer_that_gets_lost_is_unknown_only_where_that_matters() {
    let web = Web::plain(|_| Reply::raw(""));
    let house = House::of(&[&web]);
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(kind(&house.fault(call(http(method, &at(&web, "/")))).await), "communication", "{method}");
    }
    for method in ["POST", "PATCH"] {
        let outcome = house.perform(call(http(method, &at(&web, "/")))).await;
        assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{method}: {outcome:?}");
    }
    let half = Web::plain(|_| Reply::raw("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"));
    let outcome = House::of(&[&half]).perform(call(http("POST", &at(&half, "/")))).await;
    assert!(matches!(outcome, EffectOutcome::Unknown { .. }), "{outcome:?}");
}

#[tokio::test]
async fn a_host_that_is_not_there_is_a_fault_and_nothing_was_announced() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut rules = rules_of(&[]);
    rules.allow.insert(format!("http://{gone}").parse().unwrap());
    let house = House::with(Options { rules, ..Options::default() });
    let fault = house.fault(call(http("POST", &format!("http://{gone}/")))).await;
    assert_eq!(kind(&fault), "communication");
    assert_eq!(house.announced(), 0);
}

#[tokio::test]
async fn tls_trusts_the_authority_that_was_added_and_no_other() {
    let authority = Authority::new();
    let web = Web::secure(&authority, &["pets.example"], |_| Reply::json(r#""hello""#));
    let rules = || calls::Rules {
        resolve: [("pets.example:443".to_owned(), web.address()), ("other.example:443".to_owned(), web.address())]
            .into(),
        ..calls::Rules::default()
    };
    let trusting = House::with(Options { rules: rules(), authority: Some(authority), ..Options::default() });
    assert_eq!(trusting.output(get("https://pets.example/x")).await, json!("hello"));
    assert_eq!(web.asked()[0].header("host"), Some("pets.example"));
    let wrong_name = trusting.fault(get("https://other.example/x")).await;
    assert!(wrong_name.detail.unwrap().contains("TLS"));
    for authority in [None, Some(Authority::new())] {
        let fault = House::with(Options { rules: rules(), authority, ..Options::default() })
            .fault(get("https://pets.example/x"))
            .await;
        assert_eq!(kind(&fault), "communication");
        assert!(fault.detail.unwrap().contains("TLS"));
    }
    assert_eq!(web.lines().len(), 1);
}

#[tokio::test]
async fn a_server_that_speaks_http2_alone_is_asked_in_it() {
    let authority = Authority::new();
    let web = http2::Web::secure(&authority, &["two.example"], |asked| {
        let reply = http2::Reply {
            status: 200,
            headers: vec![("content-type", "application/json".to_owned())],
            body: vec![b"{\"asked\": ".to_vec(), format!("{:?}}}", asked.line()).into_bytes()],
            ..http2::Reply::default()
        };
        match asked.target.as_str() {
            "/moved" => {
                http2::Reply { status: 307, headers: vec![("location", "/there".to_owned())], ..Default::default() }
            }
            "/lost" => http2::Reply { reset: true, ..reply },
            "/with-trailers" => http2::Reply { trailers: Some(vec![("x-sum", "1".to_owned())]), ..reply },
            _ => reply,
        }
    });
    let port = web.address().port();
    let rules = Rules { resolve: [(format!("two.example:{port}"), web.address())].into(), ..Rules::default() };
    let house = House::with(Options { rules, authority: Some(authority), ..Options::default() });
    let at = |path: &str| format!("https://two.example:{port}{path}");
    let mut post = http("POST", &at("/moved"));
    (post.body, post.redirect) = (Some(json!({ "x": 1 })), true);
    assert_eq!(house.output(call(post)).await, json!({ "asked": "POST /there" }));
    let asked = web.asked().pop().unwrap();
    assert_eq!((asked.text(), asked.header("content-type")), (r#"{"x":1}"#, Some("application/json")));
    assert_eq!(asked.header("connection"), None);
    assert_eq!(house.output(get(&at("/with-trailers"))).await, json!({ "asked": "GET /with-trailers" }));
    assert_eq!(kind(&house.fault(get(&at("/lost"))).await), "communication");
    let lost = house.perform(call(http("POST", &at("/lost")))).await;
    assert!(matches!(lost, EffectOutcome::Unknown { .. }), "{lost:?}");
    assert_eq!(house.announced(), 2);
}
