//! `plugin approve`: a reviewer's yes, written into `plugins.lock`.

use std::io::IsTerminal as _;
use std::path::Path;

use jiff::ToSpan as _;
use workflow::capability::{Date, LockEntry, PluginsLock};
use workflow::distribution::{Distribution, Reference, unpack};
use workflow::review::PluginFacts;
use workflow::{Actor, Digest, Timestamp};

use super::facts::Gathered;
use crate::cli::{PluginApprove, ReportFormat};
use crate::commands::Context;
use crate::host::today;
use crate::output::{DONE, FAILED, Failure, errln, listed, outln, plain};

/// How long a review counts unless the reviewer says otherwise.
const MONTHS: i32 = 6;

/// More than this is worth a warning: templates, tools and people change meanwhile.
const LONG_MONTHS: i32 = 12;

pub fn run(context: &Context, approve: PluginApprove) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let gathered = Gathered::read(&parts, &[])?;
    let facts = gathered.plugins.iter().find(|facts| facts.name.as_str() == approve.plugin).ok_or_else(|| {
        let known = listed(parts.manifests.keys());
        Failure::used_wrongly(format!("this host has no plugin `{}`; it has {known}", approve.plugin))
    })?;
    let entry = entry(facts, &approve, today(Timestamp::now()))?;
    super::report::print(&gathered.report(&parts).about(&facts.name), ReportFormat::Table)?;
    let news = news(facts, &entry);
    for line in &news {
        outln!("new        {}", plain(line));
    }
    if news.is_empty() {
        outln!("new        nothing: this approval only begins anew");
    }
    outln!("approves   {} {} by {}, until {}", entry.name, entry.digest, entry.reviewer, entry.expires);
    if entry.expires > today(Timestamp::now()).saturating_add(LONG_MONTHS.months()) {
        errln!(
            "warning: until {} is more than {LONG_MONTHS} months: who reviewed it then may not know what it can reach now; \
             {MONTHS} months are the default",
            entry.expires
        );
    }
    if !approve.yes && !asked(facts)? {
        errln!("nothing was approved");
        return Ok(FAILED);
    }
    let path = parts.config.paths.lock_file();
    write(&path, &entry)?;
    outln!("written    {}", path.display());
    Ok(DONE)
}

/// The entry to write, or why this plugin cannot be approved by anybody.
fn entry(facts: &PluginFacts, approve: &PluginApprove, today: Date) -> Result<LockEntry, Failure> {
    let component =
        facts.component.as_ref().map_err(|problem| Failure::used_wrongly(format!("{}: {problem}", facts.file)))?;
    if !component.problems.is_empty() {
        let about = |problem: &String| format!("plugin `{}` cannot run on this host: {problem}", facts.name);
        return Err(Failure::wrong_input(component.problems.iter().map(about)));
    }
    let Some((place, manifest)) = &facts.manifest else {
        return Err(Failure::used_wrongly(format!("plugin `{}` has no `plugin.toml`", facts.name)));
    };
    let asked = manifest.asks.keys();
    let unasked: Vec<_> = component.needs.keys().filter(|key| !asked.contains(&key.as_str())).collect();
    if !unasked.is_empty() {
        return Err(Failure::used_wrongly(format!(
            "{place}: plugin `{}` imports what it does not ask for: {}; add `[asks.…]` with a reason, or remove the import",
            facts.name,
            listed(unasked)
        )));
    }
    let reviewer = match (&approve.reviewer, approve.yes) {
        (Some(reviewer), _) => Actor::new(reviewer.as_str()).map_err(Failure::used_wrongly)?,
        (None, false) => crate::commands::actor(),
        (None, true) => {
            return Err(Failure::used_wrongly("--yes needs --reviewer: an approval names the one who answers for it"));
        }
    };
    let expires = match approve.expires {
        Some(expires) if expires > today => expires,
        Some(expires) => return Err(Failure::used_wrongly(format!("--expires {expires} is not after today, {today}"))),
        None => today.saturating_add(MONTHS.months()),
    };
    let before = facts.approval.as_ref().map(|(_, entry)| &entry.grants);
    let grants = match before.filter(|_| approve.keep_grants) {
        Some(before) => before.intersect(&manifest.asks),
        None => manifest.asks.clone(),
    };
    Ok(LockEntry {
        name: facts.name.clone(),
        version: manifest.version.clone(),
        digest: component.digest.clone(),
        source: source(facts, &component.digest)?,
        reviewer,
        reviewed: today,
        expires,
        imports: Some(component.imports()),
        grants,
    })
}

/// Where these bytes were pulled from or pushed to, so that another host can have them.
fn source(facts: &PluginFacts, component: &Digest) -> Result<Option<Reference>, Failure> {
    let kept = worker::distribution_of(Path::new(&facts.file))?;
    let about =
        |kept: &Distribution| unpack(kept.manifest.as_bytes()).is_ok_and(|of| of.component.digest == *component);
    Ok(kept.filter(about).and_then(|kept| kept.source))
}

/// What this approval allows that the one before did not.
fn news(facts: &PluginFacts, entry: &LockEntry) -> Vec<String> {
    let Some((_, before)) = &facts.approval else {
        let all = entry.grants.entries().into_iter().map(|new| format!("`{}` in `{}`", new.subject, new.key));
        return std::iter::once("this plugin was never approved".to_owned()).chain(all).collect();
    };
    let mut news = Vec::new();
    if before.digest != entry.digest {
        news.push(format!("the bytes: {} was approved", before.digest));
    }
    let more = entry.grants.exceeds(&before.grants).into_iter();
    news.extend(more.map(|excess| format!("`{}` in `{}`; before: {}", excess.granted, excess.key, excess.allowed)));
    if let (Some(seen), Some(now)) = (&before.imports, &entry.imports) {
        news.extend(now.difference(seen).map(|name| format!("imports `{name}`")));
    }
    news
}

/// A person at a terminal types the plugin's name.
fn asked(facts: &PluginFacts) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::used_wrongly(
            "approving asks a person at a terminal; in a script give `--yes --reviewer NAME`",
        ));
    }
    errln!("type `{}` to approve it:", facts.name);
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line.trim() == facts.name.as_str())
}

/// The file is replaced as a whole: a reader sees the old text or the new one.
fn write(path: &Path, entry: &LockEntry) -> Result<(), Failure> {
    let wrong = |error: &dyn std::fmt::Display| Failure::used_wrongly(format!("{}: {error}", path.display()));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "format = 1\n".to_owned(),
        Err(error) => return Err(wrong(&error)),
    };
    let changed = PluginsLock::approve(&text, entry).map_err(|error| wrong(&error))?;
    let beside = path.with_extension("lock.new");
    std::fs::write(&beside, changed).map_err(|error| wrong(&error))?;
    std::fs::rename(&beside, path).map_err(|error| wrong(&error))
}
