//! The capability algebra: a property each, and every reason of a refusal.

use std::collections::BTreeSet;

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use workflow::capability::{
    Approval, ArtifactsReadGrant, ArtifactsWriteGrant, Date, Grants, HttpGrant, Limits, LimitsGrant, LockEntry,
    LogGrant, McpGrant, ModelGrant, Planned, PluginManifest, PluginsLock, SandboxGrant, SecretsGrant,
    WasiBaselineGrant, effective,
};
use workflow::{ArtifactUri, CommandName, Digest, HttpOrigin, McpTool, ModelName, SecretName};

fn names(all: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    btree_set(prop::sample::select(all).prop_map(str::to_owned), 0..4)
}

const PATTERNS: [&str; 9] = ["**", "a/**", "a/*", "*/x", "a/x", "b/**", "*", "a/*/x", "*/*/*"];
const PLACES: [&str; 7] = ["a", "a/x", "a/y", "b/x", "a/b/x", "b/b/b", "a/b/c/d"];

fn grants() -> impl Strategy<Value = Grants> {
    let log = (0u32..4, 0u64..4).prop_map(|(lines_max, bytes_max)| LogGrant { lines_max, bytes_max });
    let read = names(&PATTERNS).prop_map(|names| ArtifactsReadGrant { names });
    let write =
        (names(&["r", "s", "t"]), 0u64..4).prop_map(|(names, bytes_max)| ArtifactsWriteGrant { names, bytes_max });
    let planned = prop::sample::select(vec![Planned::Free, Planned::Recorded, Planned::Strict]);
    let sandbox =
        (names(&["t/a", "t/b", "t/c"]), 0u32..4, planned).prop_map(|(names, commands_max, planned)| SandboxGrant {
            commands: names.into_iter().map(|name| CommandName::new(name).unwrap()).collect(),
            commands_max,
            planned,
        });
    let secrets = names(&["k", "l"]).prop_map(|names| SecretsGrant {
        names: names.into_iter().map(|name| SecretName::new(name).unwrap()).collect(),
    });
    let model =
        (names(&["m", "n"]), 0u32..4, 0u64..4).prop_map(|(names, questions_max, answer_tokens_max)| ModelGrant {
            models: names.into_iter().map(|name| ModelName::new(name).unwrap()).collect(),
            questions_max,
            answer_tokens_max,
        });
    let mcp = (names(&["s/a", "s/b", "t/a"]), 0u32..4).prop_map(|(names, calls_max)| McpGrant {
        tools: names.into_iter().map(|name| McpTool::new(name).unwrap()).collect(),
        calls_max,
    });
    let http = (names(&ORIGINS), 0u32..4, 0u64..4).prop_map(|(names, requests_max, bytes_max)| HttpGrant {
        origins: names.into_iter().map(|name| HttpOrigin::new(name).unwrap()).collect(),
        requests_max,
        bytes_max,
    });
    let baseline = prop::bool::ANY.prop_map(|granted| granted.then_some(WasiBaselineGrant {}));
    let powers = (option::of(log), option::of(read), option::of(write), option::of(sandbox), option::of(secrets));
    let outside = (option::of(model), option::of(mcp), option::of(http), baseline);
    (powers, outside, limits()).prop_map(|(powers, outside, limits)| {
        let (log, artifacts_read, artifacts_write, sandbox, secrets) = powers;
        let (model, mcp, http, wasi_baseline) = outside;
        Grants { log, artifacts_read, artifacts_write, sandbox, secrets, model, mcp, http, wasi_baseline, limits }
    })
}

const ORIGINS: [&str; 3] = ["https://a.test", "https://a.test:8443", "http://a.test"];

/// Below, at and above the default of each.
fn limits() -> impl Strategy<Value = LimitsGrant> {
    let around =
        |default: u64| option::of(prop::sample::select(vec![0, default - 1, default, default + 1, 2 * default]));
    let default = Limits::DEFAULT;
    (around(default.fuel_max), around(default.memory_bytes_max), around(default.host_calls_max)).prop_map(
        |(fuel_max, memory_bytes_max, host_calls_max)| LimitsGrant {
            fuel_max,
            memory_bytes_max,
            host_calls_max,
            ..LimitsGrant::default()
        },
    )
}

/// The places that a grant lets a plugin read, out of a few.
fn readable(grants: &Grants) -> BTreeSet<&'static str> {
    let covers = |place: &&str| {
        let uri = ArtifactUri::new(format!("artifact://instance/{place}")).unwrap();
        grants.artifacts_read.as_ref().is_some_and(|grant| grant.covers(&uri))
    };
    PLACES.into_iter().filter(covers).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_intersection_never_exceeds_either_key(a in grants(), b in grants()) {
        let both = a.intersect(&b);
        prop_assert_eq!(both.exceeds(&a), vec![]);
        prop_assert_eq!(both.exceeds(&b), vec![]);
    }

    #[test]
    fn an_intersection_keeps_all_that_both_grant(a in grants(), b in grants()) {
        let both = a.intersect(&b);
        let expected: BTreeSet<_> = readable(&a).intersection(&readable(&b)).copied().collect();
        prop_assert_eq!(readable(&both), expected);
        if let (Some(x), Some(y), Some(z)) = (&a.sandbox, &b.sandbox, &both.sandbox) {
            prop_assert_eq!(&z.commands, &(&x.commands & &y.commands));
        }
        if let Some(both) = &both.sandbox {
            let keys = [&a, &b].map(|key| key.sandbox.as_ref().map(|grant| grant.planned));
            prop_assert_eq!(Some(both.planned), keys.into_iter().flatten().max(), "the stricter plan counts");
        }
        prop_assert_eq!(both.log.is_some(), a.log.is_some() && b.log.is_some());
        prop_assert_eq!(both.wasi_baseline.is_some(), a.wasi_baseline.is_some() && b.wasi_baseline.is_some());
        let of = |grants: &Grants| Limits::of(&grants.limits);
        for ((a, b), both) in of(&a).fields().into_iter().zip(of(&b).fields()).zip(of(&both).fields()) {
            prop_assert_eq!(both.1, a.1.min(b.1), "{}", both.0);
        }
    }

    #[test]
    fn the_order_of_the_keys_does_not_matter(a in grants(), b in grants(), c in grants()) {
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        prop_assert_eq!(a.intersect(&b).intersect(&c), a.intersect(&b.intersect(&c)));
    }

    #[test]
    fn what_exceeds_nothing_can_read_no_more(a in grants(), b in grants()) {
        if a.exceeds(&b).is_empty() {
            prop_assert!(readable(&a).is_subset(&readable(&b)));
        }
    }

    #[test]
    fn a_task_only_narrows_and_every_key_bounds(asks in grants(), approved in grants(), task in grants(), ceiling in grants()) {
        let (manifest, entry, digest) = (manifest(asks.clone()), entry(approved.clone()), digest());
        let approval = Approval { manifest: &manifest, lock: Some(&entry), digest: &digest, ceiling: Some(&ceiling), today: TODAY };
        match effective(&approval, &task) {
            Ok(effective) => {
                for key in [&asks, &approved, &task, &ceiling] {
                    prop_assert_eq!(effective.exceeds(key), vec![]);
                }
                prop_assert_eq!(readable(&effective), readable(&task), "an accepted task gets what it grants");
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn a_lock_reads_back_as_it_was_written(grants in grants()) {
        let entry = entry(grants);
        let lock = PluginsLock { plugins: [(entry.name.clone(), entry)].into() };
        prop_assert_eq!(PluginsLock::parse(&lock.to_text()).unwrap(), lock);
    }
}

const TODAY: Date = Date::constant(2026, 11, 24);

fn digest() -> Digest {
    Digest::of(b"component")
}

fn manifest(asks: Grants) -> PluginManifest {
    let head = "name = \"cargo\"\nversion = \"0.1.0\"\nworld = \"build\"\nsummary = \"Cargo\"\n";
    PluginManifest { asks, ..PluginManifest::parse(head).unwrap() }
}

fn entry(grants: Grants) -> LockEntry {
    LockEntry {
        name: "cargo".parse().unwrap(),
        version: "0.1.0".parse().unwrap(),
        digest: digest(),
        source: None,
        reviewer: "cli:alice".parse().unwrap(),
        reviewed: Date::constant(2026, 11, 1),
        expires: Date::constant(2027, 5, 1),
        imports: None,
        grants,
    }
}

fn commands(names: &[&str], commands_max: u32) -> Grants {
    let commands = names.iter().map(|name| CommandName::new(*name).unwrap()).collect();
    Grants { sandbox: Some(SandboxGrant { commands, commands_max, planned: Planned::Free }), ..Grants::default() }
}

fn problems(approval: &Approval, task: &Grants) -> Vec<String> {
    effective(approval, task).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn without_a_ceiling_what_is_asked_bounds() {
    let asked = commands(&["t/a", "t/b"], 5);
    let (manifest, entry, digest) = (manifest(asked.clone()), entry(asked), digest());
    let approval = Approval { manifest: &manifest, lock: Some(&entry), digest: &digest, ceiling: None, today: TODAY };
    let task = commands(&["t/a"], 2);
    assert_eq!(effective(&approval, &task), Ok(task.clone()));
}

#[test]
fn a_limit_above_the_default_needs_every_key() {
    let more = |fuel_max| Grants {
        limits: LimitsGrant { fuel_max: Some(fuel_max), ..LimitsGrant::default() },
        ..Grants::default()
    };
    let (default, much) = (Limits::DEFAULT.fuel_max, 2 * Limits::DEFAULT.fuel_max);
    let (asks, digest) = (manifest(more(much)), digest());
    let entry = |grants| LockEntry { grants, ..entry(Grants::default()) };
    let fuel = |lock: &LockEntry, task: &Grants| {
        let approval = Approval { manifest: &asks, lock: Some(lock), digest: &digest, ceiling: None, today: TODAY };
        effective(&approval, task).map(|grants| Limits::of(&grants.limits).fuel_max)
    };
    assert_eq!(fuel(&entry(more(much)), &more(much)), Ok(much));
    assert_eq!(fuel(&entry(more(much)), &Grants::default()), Ok(default), "a task that says nothing has the default");
    assert_eq!(fuel(&entry(more(10)), &Grants::default()), Ok(10), "a review can lower it");
    let unapproved = entry(Grants::default());
    let approval = Approval { manifest: &asks, lock: Some(&unapproved), digest: &digest, ceiling: None, today: TODAY };
    assert_eq!(
        problems(&approval, &more(much)),
        ["the task grants `10000000000` in `limits.fuel-max`, which was not approved; approved: at most 5000000000"]
    );
}

#[test]
fn a_ceiling_can_forbid_components_of_an_operating_system() {
    let baseline = Grants { wasi_baseline: Some(WasiBaselineGrant {}), ..Grants::default() };
    let (asks, entry, digest) = (manifest(baseline.clone()), entry(baseline.clone()), digest());
    let with = |ceiling| Approval { manifest: &asks, lock: Some(&entry), digest: &digest, ceiling, today: TODAY };
    assert_eq!(effective(&with(None), &baseline), Ok(baseline.clone()));
    assert_eq!(
        problems(&with(Some(&Grants::default())), &baseline),
        ["the task grants `{}` in `wasi-baseline`, which the operator's ceiling does not allow; allowed: nothing"]
    );
}

#[test]
fn one_origin_has_one_form() {
    let of_url = |url: &str| HttpOrigin::of_url(url).map(String::from);
    for (url, origin) in [
        ("https://index.crates.io/se/rd/serde", "https://index.crates.io"),
        ("HTTPS://Index.Crates.IO:443?x", "https://index.crates.io"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080"),
        ("http://[::1]:8080/a", "http://[::1]:8080"),
        ("http://[::1]", "http://[::1]"),
    ] {
        assert_eq!(of_url(url).as_deref(), Some(origin), "{url}");
        assert!(HttpOrigin::new(origin).is_ok(), "{origin}");
    }
    for none in [
        "ftp://a.test/",
        "//a.test",
        "https://",
        "https://a..test/",
        "https://a.test:0/",
        "https://a.test:99999/",
        "https://a.test:080/",
        "https://u@a.test/",
        "https://a.test\\@b.test/",
        "https://a.test/#f",
        "https://a%2etest/",
        "https://[::1",
        "https://[0:0::1]/",
        "https://a.test:443:443/",
    ] {
        assert_eq!(of_url(none), None, "{none}");
    }
    for not_an_origin in ["https://a.test/", "https://A.test", "https://a.test:443", "http://a.test:80", "a.test"] {
        assert!(HttpOrigin::new(not_an_origin).is_err(), "{not_an_origin}");
    }
}

#[test]
fn a_plugin_that_nobody_approved_may_nothing() {
    let (manifest, digest) = (manifest(Grants::default()), digest());
    let approval = Approval { manifest: &manifest, lock: None, digest: &digest, ceiling: None, today: TODAY };
    assert_eq!(
        problems(&approval, &Grants::default()),
        ["nobody approved it; review it and add its digest to `plugins.lock`"]
    );
}

#[test]
fn everything_that_stands_against_a_call_is_named_at_once() {
    let (manifest, entry) = (manifest(commands(&["t/a"], 5)), entry(commands(&["t/a", "t/b"], 9)));
    let (manifest, digest) = (PluginManifest { version: "0.2.0".parse().unwrap(), ..manifest }, Digest::of(b"other"));
    let ceiling = commands(&["t/b"], 2);
    let expired = entry.expires;
    let approval =
        Approval { manifest: &manifest, lock: Some(&entry), digest: &digest, ceiling: Some(&ceiling), today: expired };
    let task = Grants {
        secrets: Some(SecretsGrant { names: BTreeSet::from(["k".parse().unwrap()]) }),
        ..commands(&["t/a", "t/c"], 3)
    };
    let bytes = format!(
        "its bytes changed since the review: `{digest}` is here, `{}` was approved; review it again",
        entry.digest
    );
    assert_eq!(
        problems(&approval, &task),
        [
            bytes.as_str(),
            "its version changed since the review: `0.2.0` is here, `0.1.0` was approved; review it again",
            "its approval expired on 2027-05-01; review it again",
            "its approval grants `t/b` in `sandbox.commands`, which its `plugin.toml` does not ask for; asked: `t/a`",
            "its approval grants `9` in `sandbox.commands-max`, which its `plugin.toml` does not ask for; asked: at most 5",
            "the task grants `t/c` in `sandbox.commands`, which was not approved; approved: `t/a`, `t/b`",
            "the task grants `k` in `secrets.names`, which was not approved; approved: nothing",
            "the task grants `t/a` in `sandbox.commands`, which the operator's ceiling does not allow; allowed: `t/b`",
            "the task grants `t/c` in `sandbox.commands`, which the operator's ceiling does not allow; allowed: `t/b`",
            "the task grants `3` in `sandbox.commands-max`, which the operator's ceiling does not allow; allowed: at most 2",
            "the task grants `k` in `secrets.names`, which the operator's ceiling does not allow; allowed: nothing",
        ]
    );
}

#[test]
fn an_approval_counts_until_the_day_it_expires() {
    let (manifest, entry, digest) = (manifest(Grants::default()), entry(Grants::default()), digest());
    let on = |today| {
        let approval = Approval { manifest: &manifest, lock: Some(&entry), digest: &digest, ceiling: None, today };
        effective(&approval, &Grants::default()).is_ok()
    };
    assert!(on(entry.expires.yesterday().unwrap()));
    assert!(!on(entry.expires));
}

#[test]
fn a_lock_with_something_unknown_is_an_error_with_its_line() {
    for (text, expected) in [
        ("format = 2\n", "format 2 of the lock is unknown; this host reads format 1"),
        ("format = 1\nsigned = true\n", "unknown field `signed`"),
        ("format = 1\n[[plugin]]\nname = \"a\"\nverdict = \"ok\"\n", "line 4"),
    ] {
        let error = PluginsLock::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let twice = entry(Grants::default());
    let once = PluginsLock { plugins: [(twice.name.clone(), twice)].into() }.to_text();
    let again = once.split_once("[[plugin]]").unwrap().1;
    let error = PluginsLock::parse(&format!("{once}\n[[plugin]]{again}")).unwrap_err().to_string();
    assert_eq!(error, "plugin `cargo` is approved twice; keep one entry");
}
