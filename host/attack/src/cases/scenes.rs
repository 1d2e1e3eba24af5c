//! Attacks in more than one act: swapped files, poisoned code, replays, crowds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_host::{Call, HostConfig, PluginHost, Provenance, Surroundings};
use serde_json::Value;
use workflow::capability::{Approval, Date, GrantProblem, Grants, LockEntry, PluginManifest, World, effective};
use workflow::event::Event;
use workflow::{Actor, Digest, PluginName, Timestamp};

use crate::case::Case;
use crate::guest::{Guest, Import, Value as Parameter};
use crate::range::{BESIDE, HOSTILE, Range, all_grants};
use crate::record;
use crate::suite::honest;

mod templates;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::scene("truncated-at-every-length", "a component that is cut off, at every length", |range| {
            Box::pin(truncated(range))
        })
        .ends("lengths refused"),
        Case::scene("bits-flipped", "a component with one bit changed, at every seventh byte", |range| {
            Box::pin(flipped(range))
        })
        .ends("changed"),
        Case::scene(
            "swapped-after-the-audit",
            "another file is put in the place of the one that was approved",
            |range| Box::pin(swapped(range)),
        )
        .ends("plugin-not-loaded: ")
        .ends("was approved"),
        Case::scene("relinked-after-the-audit", "a link is turned to another file than was approved", |range| {
            Box::pin(relinked(range))
        })
        .ends("plugin-not-loaded: ")
        .ends("was approved"),
        Case::scene("cache-changed", "compiled code is changed on disk, one byte here and there", |range| {
            Box::pin(changed_code(range))
        })
        .ends("CompiledAfterTampering"),
        Case::scene("cache-of-another-component", "compiled code of another component is copied over it", |range| {
            Box::pin(copied_code(range))
        })
        .ends("CompiledAfterTampering"),
        Case::scene("cache-of-another-engine", "code for other settings of the engine is copied over it", |range| {
            Box::pin(other_engine(range))
        })
        .ends("CompiledAfterTampering"),
        Case::scene("cache-of-another-host", "compiled code that another host has signed", |range| {
            Box::pin(other_host(range))
        })
        .ends("CompiledAfterTampering"),
        Case::scene("cache-open-to-others", "the folder of compiled code may be written by others", |range| {
            Box::pin(open_to_others(range))
        })
        .ends("others could write machine code into it"),
        Case::scene(
            "replay-another-command",
            "after a restart it asks for another command than is on record",
            |range| Box::pin(diverged(range, "attack/publish")),
        )
        .ends("plugin-diverged: "),
        Case::scene("replay-the-same", "after a restart it asks the same: the command does not run again", |range| {
            Box::pin(replayed(range))
        })
        .ends("answered \"ok\""),
        Case::scene("above-every-key", "a task grants itself more than was asked, approved or allowed", |range| {
            Box::pin(above_every_key(range))
        })
        .ends("refused"),
        Case::scene(
            "template-parameters",
            "path, option, shell and URL tricks in every parameter of every command",
            |range| Box::pin(async { templates::swept(&range.target.templates) }),
        )
        .ends("commands"),
        Case::scene("crowd", "500 steps that never end, beside an honest one", |range| Box::pin(crowd(range)))
            .ends("the honest step ended"),
    ]
}

fn name() -> PluginName {
    PluginName::new(HOSTILE).expect("a label")
}

async fn truncated(range: &Range) -> Result<String, String> {
    let whole = honest();
    let mut refused = 0;
    for length in 0..whole.len() {
        match range.load(&whole[..length]).await {
            Err(_) => refused += 1,
            // Only names of functions for people lie behind the last export.
            Ok(plugin) if plugin.inspection().exports.len() == 1 => {}
            Ok(_) => return Err(format!("cut at {length} of {} it is still a plugin", whole.len())),
        }
    }
    Ok(format!("{refused} of {} lengths refused", whole.len()))
}

async fn flipped(range: &Range) -> Result<String, String> {
    let whole = honest();
    let (mut refused, mut loaded) = (0, 0);
    for at in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        match range.load(&bytes).await {
            Err(_) => refused += 1,
            Ok(plugin) if *plugin.digest() == Digest::of(&whole) => {
                return Err("another file has the same digest".to_owned());
            }
            Ok(_) => loaded += 1,
        }
    }
    Ok(format!("{} changed: {refused} refused, {loaded} of another digest, which nobody approved", refused + loaded))
}

fn said(error: std::io::Error) -> String {
    error.to_string()
}

async fn swapped(range: &Range) -> Result<String, String> {
    let path = range.folder().join("swapped.wasm");
    std::fs::write(&path, honest()).map_err(said)?;
    let approved = Digest::of(&std::fs::read(&path).map_err(said)?);
    std::fs::write(&path, Guest::new().component()).map_err(said)?;
    not_approved(range, &path, &approved).await
}

async fn relinked(range: &Range) -> Result<String, String> {
    let (good, bad, link) =
        (range.write(&honest())?, range.write(&Guest::new().component())?, range.folder().join("linked.wasm"));
    std::os::unix::fs::symlink(&good, &link).map_err(said)?;
    let approved = Digest::of(&std::fs::read(&link).map_err(said)?);
    std::fs::remove_file(&link).map_err(said)?;
    std::os::unix::fs::symlink(&bad, &link).map_err(said)?;
    not_approved(range, &link, &approved).await
}

async fn not_approved(range: &Range, path: &Path, approved: &Digest) -> Result<String, String> {
    let ran = range.execute_file(HOSTILE, path, approved, all_grants(), Value::Null, Vec::new()).await?;
    match record::lines(&ran.events).as_slice() {
        [] => Ok(record::ending(&ran)),
        lines => Err(format!("it ran: {lines:?}")),
    }
}

/// A host with a store of compiled code of its own below the range.
fn host_with_store(range: &Range, store: &str, config: &HostConfig) -> Result<(PluginHost, PathBuf), String> {
    let folder = range.folder().join(store);
    let config = HostConfig { precompiled: Some(folder.clone()), ..config.clone() };
    let host = PluginHost::new(config).map_err(|error| {
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {source}")
    })?;
    Ok((host, folder))
}

/// The one entry of a component in a store.
fn entry(folder: &Path, component: &[u8]) -> Result<PathBuf, String> {
    let digest = Digest::of(component);
    let entries = std::fs::read_dir(folder).map_err(said)?.filter_map(|entry| Some(entry.ok()?.path()));
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(digest.hex()));
    entries.filter(|path| path.is_file()).find(named).ok_or_else(|| "nothing was kept".to_owned())
}

async fn provenance(host: &PluginHost, component: &[u8]) -> Result<Provenance, String> {
    host.load(&name(), component).await.map(|plugin| plugin.provenance()).map_err(|error| record::refusal(&error))
}

/// Fails unless what lies at `path` is noticed, and the code that is used instead is the right one.
async fn noticed(host: &PluginHost, component: &[u8]) -> Result<String, String> {
    let plugin = host.load(&name(), component).await.map_err(|error| record::refusal(&error))?;
    let described = host.describe(&plugin).await.map_err(|error| error.to_string())?;
    match plugin.provenance() {
        Provenance::CompiledAfterTampering if described.name == "hostile" => Ok("CompiledAfterTampering".to_owned()),
        other => Err(format!("changed code was taken as {other:?}")),
    }
}

async fn changed_code(range: &Range) -> Result<String, String> {
    let component = honest();
    let (host, folder) = host_with_store(range, "changed", &range.target.config)?;
    provenance(&host, &component).await?;
    let path = entry(&folder, &component)?;
    let good = std::fs::read(&path).map_err(said)?;
    let mut ended = String::new();
    for at in [0, 31, 32, good.len() / 3, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        std::fs::write(&path, bad).map_err(said)?;
        ended = noticed(&host, &component).await?;
    }
    for length in [0, 1, 31, 32, good.len() / 2, good.len() - 1] {
        std::fs::write(&path, &good[..length]).map_err(said)?;
        ended = noticed(&host, &component).await?;
    }
    Ok(ended)
}

async fn copied_code(range: &Range) -> Result<String, String> {
    let (component, other) = (honest(), Guest::new().component());
    let (host, folder) = host_with_store(range, "copied", &range.target.config)?;
    provenance(&host, &component).await?;
    provenance(&host, &other).await?;
    std::fs::copy(entry(&folder, &other)?, entry(&folder, &component)?).map_err(said)?;
    noticed(&host, &component).await
}

async fn other_engine(range: &Range) -> Result<String, String> {
    let component = honest();
    let (host, folder) = host_with_store(range, "engines", &range.target.config)?;
    provenance(&host, &component).await?;
    let path = entry(&folder, &component)?;
    // As if another version of the engine had written it, with the same key.
    let file = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (digest, settings) = file.split_once('-').ok_or("an entry's name has two parts")?;
    let turned: String = settings.chars().rev().collect();
    let elsewhere = folder.join(format!("{digest}-{}", turned.replace('.', "-")));
    std::fs::rename(&path, &elsewhere).map_err(said)?;
    match provenance(&host, &component).await? {
        Provenance::Compiled => {}
        other => return Err(format!("code for other settings was taken as {other:?}")),
    }
    std::fs::rename(&elsewhere, &path).map_err(said)?;
    // The name is in the tag: what was written for one engine is no other's.
    let mut bytes = std::fs::read(&path).map_err(said)?;
    bytes[..32].rotate_left(1);
    std::fs::write(&path, bytes).map_err(said)?;
    noticed(&host, &component).await
}

async fn other_host(range: &Range) -> Result<String, String> {
    let component = honest();
    let (host, folder) = host_with_store(range, "ours", &range.target.config)?;
    let (stranger, theirs) = host_with_store(range, "theirs", &range.target.config)?;
    provenance(&host, &component).await?;
    provenance(&stranger, &component).await?;
    std::fs::copy(entry(&theirs, &component)?, entry(&folder, &component)?).map_err(said)?;
    noticed(&host, &component).await
}

async fn open_to_others(range: &Range) -> Result<String, String> {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = range.folder().join("open");
    std::fs::create_dir(&folder).map_err(said)?;
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).map_err(said)?;
    match host_with_store(range, "open", &range.target.config) {
        Err(refused) => Ok(refused),
        Ok(_) => Err("a folder that anyone may write was used".to_owned()),
    }
}

/// A step that asks for `attack/run` and says what it came to.
fn asks_once() -> Vec<u8> {
    let mut guest = Guest::new();
    let command = guest.text("attack/run");
    let parameters = guest.parameters(&[("note", Parameter::Text("again".to_owned()))]);
    let guest = guest.import(Import::Exec).execute(&format!(
        "(call $exec {command} {parameters} (i32.const 512)) (call $kind (i32.const 512) (i32.const 8))"
    ));
    guest.component()
}

/// The history of a first run, as a restarted host finds it.
async fn first_run(range: &Range) -> Result<Vec<Event>, String> {
    Ok(range.execute(HOSTILE, &asks_once(), all_grants(), Value::Null).await?.events)
}

async fn diverged(range: &Range, recorded: &str) -> Result<String, String> {
    let mut calls = first_run(range).await?;
    for event in &mut calls {
        if let Event::CommandStarted { command, .. } = event {
            command.command_name = Some(recorded.parse().map_err(|_| "a command's name".to_owned())?);
        }
    }
    let component = asks_once();
    let path = range.write(&component)?;
    let ran = range.execute_file(HOSTILE, &path, &Digest::of(&component), all_grants(), Value::Null, calls).await?;
    match record::lines(&ran.events).as_slice() {
        [] => Ok(record::ending(&ran)),
        lines => Err(format!("it went on: {lines:?}")),
    }
}

async fn replayed(range: &Range) -> Result<String, String> {
    let calls = first_run(range).await?;
    let component = asks_once();
    let path = range.write(&component)?;
    let ran = range.execute_file(HOSTILE, &path, &Digest::of(&component), all_grants(), Value::Null, calls).await?;
    let arrived = range.decoy.arrived(&workflow::InstanceId::new(HOSTILE).expect("a label"), ran.attempt);
    match (arrived, record::commands(&ran.events) == 0) {
        (0, true) => Ok(record::ending(&ran)),
        (arrived, _) => Err(format!("{arrived} commands ran again; on record: {:?}", record::lines(&ran.events))),
    }
}

/// Grants that are one wider than what stands against them, key by key.
async fn above_every_key(range: &Range) -> Result<String, String> {
    let digest = Digest::of(b"any");
    let date = Date::constant(2026, 1, 1);
    let manifest = |asks: Grants| PluginManifest {
        name: name(),
        version: semver::Version::new(0, 1, 0),
        world: World::Publish,
        summary: String::new(),
        asks,
        reasons: Default::default(),
    };
    let entry = |grants: Grants| LockEntry {
        name: name(),
        version: semver::Version::new(0, 1, 0),
        digest: digest.clone(),
        source: None,
        reviewer: Actor::new("reviewer").expect("a name"),
        reviewed: date,
        expires: Date::constant(2099, 1, 1),
        grants,
        imports: None,
    };
    let ceiling = range.target.ceiling.clone();
    let mut tried = 0;
    for (key, narrow) in narrowed() {
        for bound in ["asks", "approval", "ceiling"] {
            let (wide, narrow) = (all_grants(), narrow.clone());
            let manifest = manifest(if bound == "asks" { narrow.clone() } else { wide.clone() });
            let entry = entry(if bound == "approval" { narrow.clone() } else { wide.clone() });
            let ceiling = if bound == "ceiling" { Some(narrow) } else { ceiling.clone() };
            let approval = Approval {
                manifest: &manifest,
                lock: Some(&entry),
                digest: &digest,
                ceiling: ceiling.as_ref(),
                today: date,
            };
            tried += 1;
            match effective(&approval, &wide) {
                Err(problems) if problems.iter().any(|problem| names(problem, key)) => {}
                Err(problems) => {
                    return Err(format!("`{key}` above the {bound} is refused for something else: {problems:?}"));
                }
                Ok(_) => return Err(format!("`{key}` above the {bound} was granted")),
            }
        }
    }
    Ok(format!("{tried} refused, each with its key"))
}

fn names(problem: &GrantProblem, wanted: &str) -> bool {
    match problem {
        GrantProblem::ApprovedMoreThanAsked { key, .. }
        | GrantProblem::GrantedMoreThanApproved { key, .. }
        | GrantProblem::AboveCeiling { key, .. } => key.starts_with(wanted),
        GrantProblem::NotApproved { .. }
        | GrantProblem::Changed { .. }
        | GrantProblem::Version { .. }
        | GrantProblem::Expired { .. } => false,
    }
}

/// All grants of the suite but one, or with less of one.
fn narrowed() -> Vec<(&'static str, Grants)> {
    let all = all_grants();
    let mut fewer_lines = all.clone();
    if let Some(log) = &mut fewer_lines.log {
        log.lines_max -= 1;
    }
    let mut fewer_commands = all.clone();
    if let Some(sandbox) = &mut fewer_commands.sandbox {
        sandbox.commands.pop_first();
    }
    vec![
        ("log", Grants { log: None, ..all.clone() }),
        ("log.lines-max", fewer_lines),
        ("artifacts-read", Grants { artifacts_read: None, ..all.clone() }),
        ("artifacts-write", Grants { artifacts_write: None, ..all.clone() }),
        ("sandbox", Grants { sandbox: None, ..all.clone() }),
        ("sandbox.commands", fewer_commands),
        ("secrets", Grants { secrets: None, ..all.clone() }),
        ("model", Grants { model: None, ..all.clone() }),
        ("mcp", Grants { mcp: None, ..all.clone() }),
        ("http", Grants { http: None, ..all }),
    ]
}

/// How many steps that never end stand beside the honest one.
const CROWD: usize = 500;

async fn crowd(range: &Range) -> Result<String, String> {
    let hostile = range.load(&Guest::new().execute("(loop (br 0)) unreachable").component()).await?;
    let (begun, ended, grants) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), all_grants());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CROWD {
        let (host, plugin, grants) = (range.plugin_host.clone(), hostile.clone(), grants.clone());
        let (begun, ended) = (begun.clone(), ended.clone());
        tasks.spawn(async move {
            begun.fetch_add(1, Ordering::Relaxed);
            let surroundings = Surroundings { started_at: Timestamp::UNIX_EPOCH, seed: [0; 32] };
            let call = Call { grants: &grants, surroundings, input: Value::Null };
            let _ = host.execute(&plugin, call, Box::new(crate::mute::Mute)).await;
            ended.fetch_add(1, Ordering::Relaxed);
        });
    }
    // Each has had its first turn: they hold all that they can.
    while begun.load(Ordering::Relaxed) < CROWD {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let beside = range.execute(BESIDE, &honest(), all_grants(), Value::Null).await?;
    let before = ended.load(Ordering::Relaxed);
    // Nobody waits for what never ends.
    tasks.abort_all();
    while tasks.join_next().await.is_some() {}
    let ending = record::ending(&beside);
    if ending != "answered \"ok\"" {
        return Err(format!("beside {CROWD} steps that never end the honest one {ending}"));
    }
    if before > CROWD / 10 {
        return Err(format!("{before} of {CROWD} hostile steps ended before the honest one did"));
    }
    Ok(format!("the honest step ended when {before} of {CROWD} others had"))
}
