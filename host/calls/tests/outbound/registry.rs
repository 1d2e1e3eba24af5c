//! A registry on loopback whose errors are longer than what is read of them.

use calls::registry::{Access, Credentials, Registry, RegistryError};
use web_stub::{Reply, Web};
use workflow::distribution::Reference;

#[tokio::test]
async fn a_long_error_page_hides_neither_its_status_nor_its_challenge() {
    let page = "<p>".repeat(100_000);
    let web = Web::plain(move |asked| match asked.target.as_str() {
        "/v2/team/plugin/manifests/gone" => Reply::new(404, &[], &page),
        "/v2/team/plugin/manifests/broken" => Reply::new(503, &[], &page),
        _ if asked.header("authorization").is_none() => {
            Reply::new(401, &[("www-authenticate", "Basic realm=\"team\"")], &page)
        }
        _ => Reply::json("{}"),
    });
    let reference: Reference = format!("{}/team/plugin:1", web.address()).parse().unwrap();
    let access = Access { credentials: Some(Credentials::of_secret("ann:s-12345678")), ..Access::default() };
    let mut registry = Registry::new(&reference, access, 1 << 20).unwrap();
    assert_eq!(registry.find_manifest("gone").await, Ok(None));
    let broken = registry.manifest("broken").await;
    assert!(matches!(broken, Err(RegistryError::Status { status: 503, .. })), "{broken:?}");
    assert_eq!(registry.manifest("1").await.unwrap(), b"{}");
    assert_eq!(web.asked().len(), 4);
}
