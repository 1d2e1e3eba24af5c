//! From JSON to a checked [`ReleaseRequest`].

use std::collections::BTreeSet;

use super::{
    CargoRegistry, ConfigProfileManifest, PortalTarget, PublishPolicy, ReleaseRequest, ReleaseType, Repository,
    RuntimeFamily,
};
use crate::located::{Field, Problem, Problems, Slot, json};

/// Repairs are bounded: what ten attempts did not mend wants a person.
pub const REPAIR_ATTEMPTS_MAX: u32 = 10;

/// Reads a release request. `file` is only for messages.
///
/// # Errors
///
/// Everything that is wrong, in the order of the file.
pub fn parse(text: &str, file: &str) -> Result<ReleaseRequest, Vec<Problem>> {
    let problems = Problems::of(file);
    match json::read(text, &problems).and_then(|root| request(&Field::root(&root, &problems))) {
        Some(request) if problems.is_empty() => Ok(request),
        refused => {
            assert!(!problems.is_empty(), "a request was refused without a reason: {refused:?}");
            Err(problems.into_sorted())
        }
    }
}

fn request(root: &Field) -> Option<ReleaseRequest> {
    let [id, kind, families, repos, manifest, targets, policy, registry] = root.fields([
        "releaseId",
        "releaseType",
        "runtimeFamilies",
        "repos",
        "configProfileManifest",
        "portalTargets",
        "publishPolicy",
        "cargoRegistry",
    ])?;
    let release_id = id.required(label);
    let release_type = kind.required(|field| {
        field.choice(&[("java-train", ReleaseType::JavaTrain), ("rust-products", ReleaseType::RustProducts)])
    });
    let runtime_families = families.required(|field| {
        field.no_item_twice(&field.items_some()?);
        field.each(|item| item.choice(&[("java", RuntimeFamily::Java), ("rust", RuntimeFamily::Rust)]))
    });
    refuse_other_families(&families, release_type, runtime_families.as_deref());
    let repos = repos.required(repositories);
    let config_profile_manifest = manifest.optional(config_profile_manifest);
    let portal_targets = targets.or(Vec::new(), portal_targets_of);
    let publish_policy = policy.required(publish_policy_of);
    let cargo_registry = registry.optional(cargo_registry_of);
    Some(ReleaseRequest {
        release_id: release_id?,
        release_type: release_type?,
        runtime_families: runtime_families?,
        repos: repos?,
        config_profile_manifest: config_profile_manifest?,
        portal_targets: portal_targets?,
        publish_policy: publish_policy?,
        cargo_registry: cargo_registry?,
    })
}

/// A Java train may take Rust products along; Rust products are released by themselves.
fn refuse_other_families(slot: &Slot, kind: Option<ReleaseType>, families: Option<&[RuntimeFamily]>) {
    let (Some(field), Some(kind), Some(families)) = (slot.given(), kind, families) else { return };
    match kind {
        ReleaseType::JavaTrain if !families.contains(&RuntimeFamily::Java) => field.error(
            "a release of type `java-train` needs `java` in `runtimeFamilies`",
            Some("add `java`, or change `releaseType` to `rust-products`"),
        ),
        ReleaseType::RustProducts if families != [RuntimeFamily::Rust] => field.error(
            "a release of type `rust-products` has exactly `rust` in `runtimeFamilies`",
            Some("write `[\"rust\"]`, or change `releaseType` to `java-train`"),
        ),
        ReleaseType::JavaTrain | ReleaseType::RustProducts => {}
    }
}

/// Names folders, artifact references and branches, so it is one plain word.
fn label(field: &Field) -> Option<String> {
    let text = field.text_some()?;
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if plain && text.len() <= 126 && text.as_bytes()[0].is_ascii_alphanumeric() {
        return Some(text.to_owned());
    }
    field.error(
        format!("`{}`: `{text}` is not a name", field.label),
        Some("use at most 126 letters, digits, `-`, `_`, `.`, beginning with a letter or digit"),
    );
    None
}

/// A label that none of the others has.
fn label_once(field: &Field, names: &mut BTreeSet<String>, of: &str) -> Option<String> {
    let name = label(field)?;
    if !names.insert(name.clone()) {
        field.error(format!("two {of} are named `{name}`"), Some("remove or rename one of them"));
    }
    Some(name)
}

fn repositories(field: &Field) -> Option<Vec<Repository>> {
    let mut names = BTreeSet::new();
    field.items_some()?;
    field.each(|item| {
        let [name, url, reference, version] = item.fields(["name", "url", "ref", "version"])?;
        let name = name.required(|field| label_once(field, &mut names, "repositories"));
        let url = url.required(repository_url);
        let reference = reference.required(git_reference);
        let version = version.required(release_version);
        Some(Repository { name: name?, url: url?, reference: reference?, version: version? })
    })
}

/// Where git can fetch from on any machine, without a credential in it.
fn repository_url(field: &Field) -> Option<String> {
    let text = field.text_some()?;
    let refuse = |message: &str, help: &str| {
        field.error(format!("`{}`: `{text}` {message}", field.label), Some(help));
        None
    };
    let Some((scheme, rest)) = text.split_once("://") else {
        return match text.split_once(':') {
            Some((host, path)) if !host.contains('/') && host.contains('@') => {
                refuse("is not a URL", &format!("write `ssh://{host}/{path}`"))
            }
            Some(_) | None => refuse(
                "is a place on one machine",
                "a release must be reproducible elsewhere: give an `https://`, `http://` or `ssh://` URL",
            ),
        };
    };
    match scheme {
        "https" | "http" | "ssh" => {}
        "file" => {
            return refuse(
                "is a place on one machine",
                "a release must be reproducible elsewhere: give an `https://`, `http://` or `ssh://` URL",
            );
        }
        _ => return refuse("has a scheme that is not fetched from", "use `https://`, `http://` or `ssh://`"),
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    // `ssh://git@host` names an account; over HTTP even a lone user name is a token at many hosts.
    if user.contains(':') || (!user.is_empty() && scheme != "ssh") {
        field.error(
            format!("`{}` holds a credential", field.label),
            Some("remove the part before `@`, and change that credential: it has been written down"),
        );
        return None;
    }
    if host.is_empty() || host.starts_with([':', '-']) || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return refuse("is not a URL", "write it like `https://github.com/networknt/light-4j.git`");
    }
    Some(text.to_owned())
}

/// A branch, a tag or a commit, as `git check-ref-format` has it; never an option.
fn git_reference(field: &Field) -> Option<String> {
    let text = field.text_some()?;
    let forbidden = |c: char| c.is_whitespace() || c.is_control() || "~^:?*[\\".contains(c);
    let parts_fit = text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock"));
    let whole_fits = !text.starts_with('-') && !text.ends_with('.') && !text.contains("..") && !text.contains("@{");
    if parts_fit && whole_fits && !text.contains(forbidden) {
        return Some(text.to_owned());
    }
    let message = format!("`{}`: `{text}` is not a git reference", field.label);
    field.error(message, Some("give a branch, a tag or a commit"));
    None
}

fn release_version(field: &Field) -> Option<String> {
    let text = field.text_some()?;
    if let Err(error) = semver::Version::parse(text) {
        let help = match text.strip_prefix('v').map(semver::Version::parse) {
            Some(Ok(plain)) => format!("write `{plain}`"),
            Some(Err(_)) | None => "write it like `2.3.5`".to_owned(),
        };
        field.error(format!("`{}`: `{text}` is not a semantic version: {error}", field.label), Some(&help));
        return None;
    }
    Some(text.to_owned())
}

fn config_profile_manifest(field: &Field) -> Option<ConfigProfileManifest> {
    let [repo, reference, paths] = field.fields(["repo", "ref", "paths"])?;
    let repo = repo.required(repository_url);
    let reference = reference.required(git_reference);
    let paths = paths.required(|field| {
        field.no_item_twice(&field.items_some()?);
        field.each(|item| item.relative_path().map(str::to_owned))
    });
    Some(ConfigProfileManifest { repo: repo?, reference: reference?, paths: paths? })
}

fn portal_targets_of(field: &Field) -> Option<Vec<PortalTarget>> {
    let mut names = BTreeSet::new();
    field.each(|item| {
        let [name, host_id, dry_run] = item.fields(["name", "hostId", "dryRunRequired"])?;
        let name = name.required(|field| label_once(field, &mut names, "portal targets"));
        let host_id = host_id.required(Field::text_some);
        let dry_run = dry_run.required(Field::boolean);
        Some(PortalTarget { name: name?, host_id: host_id?.to_owned(), dry_run_required: dry_run? })
    })
}

fn publish_policy_of(field: &Field) -> Option<PublishPolicy> {
    let [approval, patch, attempts] = field.fields(["requireHumanApproval", "allowAiPatch", "maxRepairAttempts"])?;
    let approval = approval.required(Field::boolean);
    let patch = patch.required(Field::boolean);
    let attempts = attempts.required(|field| field.integer(0, u64::from(REPAIR_ATTEMPTS_MAX)));
    Some(PublishPolicy {
        require_human_approval: approval?,
        allow_ai_patch: patch?,
        max_repair_attempts: attempts.and_then(|attempts| u32::try_from(attempts).ok())?,
    })
}

fn cargo_registry_of(field: &Field) -> Option<CargoRegistry> {
    let [name, index] = field.fields(["name", "index"])?;
    let name = name.required(label);
    let index = index.required(|field| {
        let text = field.text_some()?;
        let url = text.strip_prefix("sparse+").filter(|url| url.starts_with("http://") || url.starts_with("https://"));
        let fits = url.is_some_and(|url| url.ends_with('/') && !url.contains(|c: char| c.is_whitespace() || c == '@'));
        if !fits {
            let message = format!("`{}`: `{text}` is not a sparse registry index", field.label);
            field.error(message, Some("write it like `sparse+https://index.crates.io/`, with the `/` at its end"));
            return None;
        }
        Some(text.to_owned())
    });
    Some(CargoRegistry { name: name?, index: index? })
}
