//! Who may be called at all.

use serde_json::json;
use web_stub::{Reply, Web};
use workflow::calls::HttpOutput;

use crate::house::{House, Options, at, call, get, http, kind, rules_of};

#[tokio::test]
async fn without_an_approval_nothing_is_called() {
    let web = Web::plain(|_| Reply::json("{}"));
    let house = House::with(Options::default());
    for uri in [at(&web, "/"), format!("http://localhost:{}/", web.port()), format!("http://[::1]:{}/", web.port())] {
        let fault = house.fault(get(&uri)).await;
        assert_eq!((kind(&fault), fault.status), ("authorization", 403), "{uri}");
    }
    assert_eq!(web.lines(), [""; 0]);
}

#[tokio::test]
async fn an_approved_name_that_leads_to_loopback_is_refused_unless_it_is_internal() {
    let web = Web::plain(|_| Reply::json("1"));
    let origin = format!("http://localhost:{}", web.port());
    let allow = calls::Rules { allow: [origin.parse().unwrap()].into(), ..calls::Rules::default() };
    let fault = House::with(Options { rules: allow, ..Options::default() }).fault(get(&origin)).await;
    assert_eq!(kind(&fault), "authorization");
    assert!(fault.detail.unwrap().contains("leads to no public address"));
    assert_eq!(web.lines(), [""; 0]);
    let internal = calls::Rules { internal: [origin.parse().unwrap()].into(), ..calls::Rules::default() };
    assert_eq!(House::with(Options { rules: internal, ..Options::default() }).output(get(&origin)).await, json!(1));
}

#[tokio::test]
async fn a_mapped_host_is_called_at_its_address_and_by_its_name() {
    let web = Web::plain(|_| Reply::json("1"));
    let rules =
        calls::Rules { resolve: [("pets.example:80".to_owned(), web.address())].into(), ..calls::Rules::default() };
    let house = House::with(Options { rules, ..Options::default() });
    assert_eq!(house.output(get("http://pets.example/v2/pet")).await, json!(1));
    assert_eq!(web.asked()[0].header("host"), Some("pets.example"));
    assert_eq!(kind(&house.fault(get("http://pets.example:8080/")).await), "authorization");
}

#[tokio::test]
async fn a_redirection_is_asked_about_like_a_first_request() {
    let secret = Web::plain(|_| Reply::json("\"secret\""));
    let targets = [
        at(&secret, "/"),
        format!("http://localhost:{}/", secret.port()),
        format!("http://2130706433:{}/", secret.port()),
        format!("http://0x7f.1:{}/", secret.port()),
        format!("http://[::ffff:127.0.0.1]:{}/", secret.port()),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://user:pass@pets.example/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "gopher://pets.example/".to_owned(),
    ];
    for target in targets {
        let location = target.clone();
        let web = Web::plain(move |_| Reply::new(302, &[("Location", &location)], ""));
        let mut http = http("GET", &at(&web, "/"));
        http.redirect = true;
        let fault = House::of(&[&web]).fault(call(http)).await;
        assert!(["authorization", "configuration"].contains(&kind(&fault)), "{target}: {fault:?}");
    }
    assert_eq!(secret.lines(), [""; 0]);
}

#[tokio::test]
async fn the_instance_reaches_only_what_it_was_started_with() {
    let web = Web::plain(|_| Reply::json("1"));
    let mut house = House::with(Options { rules: rules_of(&[&web]), ..Options::default() });
    house.approved.clear();
    assert_eq!(kind(&house.fault(get(&at(&web, "/"))).await), "authorization");
    assert_eq!(web.lines(), [""; 0]);
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_asked() {
    let proxy = Web::plain(|_| Reply::json("\"proxy\""));
    let web = Web::plain(|_| Reply::json("\"web\""));
    // Set for the whole test process: no other test may care, which is the point.
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        #[allow(unsafe_code, reason = "the environment of a test process")]
        // SAFETY: nothing else here reads or writes the environment by these names.
        unsafe {
            std::env::set_var(name, at(&proxy, "/"));
        }
    }
    let mut http = http("GET", &at(&web, "/"));
    http.output = HttpOutput::Content;
    assert_eq!(House::of(&[&web]).output(call(http)).await, json!("web"));
    assert_eq!(proxy.lines(), [""; 0]);
}
