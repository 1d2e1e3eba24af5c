//! The border, with seeded noise: no panic, no hang, and the record stays true.
//!
//! The seeds are fixed, so a failure is found again; `ATTACK_SEEDS` runs more of them.

use std::path::Path;

use attack::{Random, Range, honest};
use sandbox::Template;
use workflow::capability::{Grants, PluginManifest, PluginsLock};

use crate::{mutation, target};

fn seeds(few: u64) -> std::ops::Range<u64> {
    let more = std::env::var("ATTACK_SEEDS").ok().and_then(|text| text.parse().ok());
    0..more.unwrap_or(few)
}

fn repository(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn host_calls_with_any_arguments_leave_a_true_record() {
    let range = Range::new(target()).await.unwrap();
    let (mut answered, mut others) = (0, 0);
    for seed in seeds(150) {
        let ended = range.endures(seed).await.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        if ended.starts_with("answered") { answered += 1 } else { others += 1 }
    }
    assert!(answered > 10 && others > 10, "the noise is neither all good nor all bad: {answered}, {others}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_component_is_refused_or_stopped() {
    let range = Range::new(target()).await.unwrap();
    let whole = honest();
    let (mut refused, mut ran) = (0, 0);
    for seed in seeds(120) {
        let bytes = mutation::bytes(&whole, &mut Random::new(seed));
        let ended = range.bears(&bytes).await.unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        if ended.starts_with("refused") { refused += 1 } else { ran += 1 }
    }
    assert!(refused > 10 && ran > 10, "the changes are neither all fatal nor all harmless: {refused}, {ran}");
}

#[test]
fn a_component_of_noise_is_read_without_a_panic() {
    let whole = honest();
    for seed in seeds(3_000) {
        let _ = plugin_host::inspect(&mutation::bytes(&whole, &mut Random::new(seed))).map(|found| found.problems());
    }
}

#[test]
fn what_a_changed_manifest_asks_is_what_its_text_says() {
    let lock = PluginsLock::parse(&repository("plugins/plugins.lock")).unwrap();
    assert!(lock.plugins.len() >= 8, "every bundled plugin is in the lock");
    for name in lock.plugins.keys() {
        let original = repository(&format!("plugins/{name}/plugin.toml"));
        let reviewed = PluginManifest::parse(&original).unwrap();
        for seed in seeds(200) {
            let text = mutation::text(&original, &mut Random::new(seed));
            let Ok(read) = PluginManifest::parse(&text) else { continue };
            // Whatever it asks for now, nothing is taken for what was reviewed.
            if read.asks != reviewed.asks {
                assert!(
                    !read.asks.exceeds(&reviewed.asks).is_empty() || !reviewed.asks.exceeds(&read.asks).is_empty(),
                    "{text}"
                );
            }
        }
    }
}

#[test]
fn a_lock_that_can_be_read_is_written_as_it_was_read() {
    let original = repository("plugins/plugins.lock");
    for seed in seeds(600) {
        let text = mutation::text(&original, &mut Random::new(seed));
        if let Ok(lock) = PluginsLock::parse(&text) {
            assert_eq!(PluginsLock::parse(&lock.to_text()).as_ref(), Ok(&lock), "seed {seed}");
        }
    }
}

#[test]
fn a_ceiling_that_can_be_read_bounds_as_it_was_read() {
    let original = "limits = { fuel-max = 5 }\n[log]\nlines-max = 1000\nbytes-max = 262144\n[artifacts-read]\nnames = [\"**\"]\n\
                    [sandbox]\ncommands = [\"rust-release/git-ls-remote\"]\ncommands-max = 100\n[secrets]\nnames = [\"token\"]\n\
                    [http]\norigins = [\"https://index.crates.io\"]\nrequests-max = 3\nbytes-max = 1000\n";
    toml::from_str::<Grants>(original).unwrap();
    for seed in seeds(1_000) {
        let text = mutation::text(original, &mut Random::new(seed));
        if let Ok(grants) = toml::from_str::<Grants>(&text) {
            assert_eq!(grants.intersect(&grants).exceeds(&grants), [], "seed {seed}");
        }
    }
}

#[test]
fn a_template_that_can_be_read_stays_within_its_own_egress() {
    let original = repository("sandbox-templates/rust-release/template.toml");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rust-release");
    std::fs::create_dir(&path).unwrap();
    for seed in seeds(300) {
        let text = mutation::text(&original, &mut Random::new(seed));
        std::fs::write(path.join("template.toml"), &text).unwrap();
        let Ok(template) = Template::load(&path) else { continue };
        for (name, command) in template.commands() {
            assert!(command.egress.is_subset(template.egress()), "seed {seed}: {name}");
        }
    }
}

#[test]
fn grants_in_a_changed_definition_are_read_or_refused_with_a_line() {
    let original = repository("definitions/rust-products.yaml");
    for seed in seeds(150) {
        let text = mutation::text(&original, &mut Random::new(seed));
        if let Err(problems) = workflow::definition::parse(&text, "fuzzed.yaml") {
            assert!(format!("{problems:?}").len() < 10 << 20, "seed {seed}");
        }
    }
}
