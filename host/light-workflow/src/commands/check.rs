//! `check`: definitions and templates, and what each task may do.

mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::json;
use workflow::capability::{EffectivePolicy, Grants};
use workflow::definition::{self, Definition, PluginFacts, Severity};
use workflow::{Digest, HttpOrigin, Origin, PluginName};

use super::{Context, print_json};
use crate::cli::{Check, Format};
use crate::documents;
use crate::host::Parts;
use crate::library::Library;
use crate::output::{DONE, FAILED, Failure, errln, outln};

/// What was found in one file.
struct Checked {
    file: PathBuf,
    name: Option<String>,
    policy: Option<EffectivePolicy>,
    /// Hosts that tasks may reach, by task reference.
    egress: BTreeMap<String, Vec<String>>,
    /// Documents that it names, as they are now.
    documents: BTreeMap<String, Digest>,
    problems: Vec<String>,
    /// What works, though hardly as meant.
    warnings: Vec<String>,
}

pub fn run(context: &Context, check: Check) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let plugins = parts.plugin_facts()?;
    if check.schema {
        print_json(&schema::of_definitions(&plugins))?;
        return Ok(DONE);
    }
    let mut files = Vec::new();
    for path in &check.paths {
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Failure::used_wrongly("found no `.yaml`, `.yml` or `template.toml` in what was named"));
    }
    let checked: Vec<Checked> = files.into_iter().map(|file| check_file(&parts, &plugins, file)).collect();
    let wrong = checked.iter().any(|checked| !checked.problems.is_empty());
    match check.output.format {
        Format::Json => print_json(&checked.iter().map(as_json).collect::<Vec<_>>())?,
        Format::Text => checked.iter().for_each(print),
    }
    Ok(if wrong { FAILED } else { DONE })
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable =
        |error: std::io::Error| Failure::used_wrongly(format!("failed to read `{}`: {error}", path.display()));
    if !path.is_dir() {
        std::fs::metadata(path).map_err(unreadable)?;
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(path).map_err(unreadable)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for entry in entries {
        let is_definition = entry.extension().is_some_and(|end| end == "yaml" || end == "yml");
        if entry.is_dir() {
            collect(&entry, files)?;
        } else if is_definition || entry.file_name().is_some_and(|name| name == "template.toml") {
            files.push(entry);
        }
    }
    Ok(())
}

/// Every definition in a file or a folder, in the order of names.
pub fn definitions_in(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    files.retain(|file| file.extension().is_none_or(|end| end != "toml"));
    Ok(files)
}

/// Calls whose input cannot be checked.
fn unchecked(definition: &Definition, plugins: &BTreeMap<PluginName, PluginFacts>) -> Vec<String> {
    let called = definition::plugins_called(definition);
    let silent = called.iter().filter(|name| plugins.get(*name).is_some_and(|facts| facts.input_schema.is_none()));
    let text = |name| {
        format!(
            "warning: plugin `{name}` does not say what it takes, so its `with` is not checked; build it with `light-workflow plugin build`"
        )
    };
    silent.map(text).collect()
}

fn check_file(parts: &Parts, plugins: &BTreeMap<PluginName, PluginFacts>, file: PathBuf) -> Checked {
    let mut checked = Checked {
        file,
        name: None,
        policy: None,
        egress: BTreeMap::new(),
        documents: BTreeMap::new(),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    if checked.file.extension().is_some_and(|end| end == "toml") {
        let folder = checked.file.parent().unwrap_or(Path::new("."));
        match sandbox::Template::load(folder) {
            Ok(template) => checked.name = Some(format!("sandbox template {}", template.name())),
            Err(error) => checked.problems.push(error.to_string()),
        }
        return checked;
    }
    let shown = checked.file.display().to_string();
    let source = match std::fs::read_to_string(&checked.file) {
        Ok(source) => source,
        Err(error) => {
            checked.problems.push(format!("{shown}: {error}"));
            return checked;
        }
    };
    match documents::read(parts, &source, &checked.file) {
        Err(problems) => checked.problems.extend(problems.iter().map(ToString::to_string)),
        Ok(definition) => {
            checked.name = Some(definition.full_name());
            checked.documents.clone_from(&definition.documents);
            definition::each_task(&definition.tasks, &mut |task| {
                if !task.light.egress.is_empty() {
                    checked.egress.insert(task.reference.clone(), task.light.egress.clone());
                }
            });
            checked.warnings = definition::warnings(&definition, &shown).iter().map(ToString::to_string).collect();
            checked.warnings.extend(unchecked(&definition, plugins));
            let calls = definition::check_calls(&definition, &shown, plugins);
            checked.problems.extend(calls.iter().map(ToString::to_string));
            let library = Library::read(parts);
            match parts.policy(&definition, &library, false) {
                Ok(mut policy) => {
                    let images = parts.look_at_images(&mut policy).into_iter();
                    checked.warnings.extend(images.map(|(task, why)| warning(&definition, &shown, &task, &why, None)));
                    checked.warnings.extend(
                        policy.calls.unapproved().map(|(task, origin)| unapproved(&definition, &shown, task, origin)),
                    );
                    checked.warnings.extend(unapproved_grants(parts, &definition, &shown, &policy));
                    checked.policy = Some(policy);
                }
                Err(problems) => {
                    let placed = problems.iter().map(|problem| problem.at(&definition, &shown).to_string());
                    checked.problems.extend(placed);
                }
            }
        }
    }
    checked
}

/// A host that should call it refuses to start; the definition is none the worse for it.
fn unapproved(definition: &Definition, file: &str, task: &str, origin: &Origin) -> String {
    let message = format!("calls `{origin}`, which this host's configuration does not approve");
    warning(definition, file, task, &message, Some("add it to `[calls] allow`"))
}

fn warning(definition: &Definition, file: &str, task: &str, message: &str, help: Option<&str>) -> String {
    let mut problem = definition::problem_at(definition, file, task, message, help);
    problem.severity = Severity::Warning;
    problem.to_string()
}

/// Origins that a task grants to its plugin and that this host reads nothing from.
fn unapproved_grants(parts: &Parts, definition: &Definition, file: &str, policy: &EffectivePolicy) -> Vec<String> {
    let plugins = policy.tasks.iter().filter_map(|(task, policy)| Some((task, policy.plugin.as_ref()?)));
    let granted = plugins.flat_map(|(task, plugin)| {
        let origins = plugin.grants.http.iter().flat_map(|grant| &grant.origins);
        origins.map(move |origin| (task, origin))
    });
    let is_approved = |origin: &HttpOrigin| {
        origin.as_str().parse::<Origin>().is_ok_and(|origin| parts.approved_calls().contains(&origin))
    };
    let unknown = granted.filter(|(_, origin)| !is_approved(origin));
    let text = |(task, origin): (&String, &HttpOrigin)| {
        let pointer = format!("{task}/metadata/lightWorkflow/grants/http/origins");
        let message = format!("grants `{origin}`, which this host's configuration does not approve: it is denied");
        let help = "add it to `[calls] allow`";
        let mut problem = definition::problem_at(definition, file, &pointer, &message, Some(help));
        problem.severity = Severity::Warning;
        problem.to_string()
    };
    unknown.map(text).collect()
}

fn as_json(checked: &Checked) -> serde_json::Value {
    json!({ "file": checked.file, "name": checked.name, "problems": checked.problems,
        "warnings": checked.warnings, "documents": checked.documents, "policy": checked.policy, "egress": checked.egress })
}

fn print(checked: &Checked) {
    for problem in &checked.problems {
        errln!("error: {problem}");
    }
    for warning in &checked.warnings {
        errln!("{warning}");
    }
    let Some(name) = checked.name.as_ref().filter(|_| checked.problems.is_empty()) else { return };
    outln!("{}: {name} is valid", checked.file.display());
    for (document, digest) in &checked.documents {
        outln!("  document {document} {digest}");
    }
    for (reference, task) in checked.policy.iter().flat_map(|policy| &policy.tasks) {
        let mode = serde_json::to_value(task.mode).unwrap_or_default();
        outln!("  {reference}");
        outln!("    sandbox  {} {}", task.template, mode.as_str().unwrap_or_default());
        if let Some(image) = &task.image {
            match &image.pinned {
                Some(pinned) => outln!("    image    {} {}", pinned.image.reference, pinned.image.id),
                None => outln!("    image    {}", image.name),
            }
        }
        if let Some(hosts) = checked.egress.get(reference) {
            outln!("    egress   {}", hosts.join(" "));
        }
        if !task.secrets.is_empty() {
            outln!("    secrets  {}", task.secrets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
        let Some(plugin) = &task.plugin else { continue };
        outln!("    plugin   {} {}", plugin.name, plugin.digest);
        print_grants(&plugin.grants);
    }
    for (reference, call) in checked.policy.iter().flat_map(|policy| &policy.calls.tasks) {
        outln!("  {reference}");
        for origin in &call.origins {
            let approved = checked.policy.iter().any(|policy| policy.calls.approved.contains(origin));
            outln!("    calls    {origin} ({})", if approved { "approved" } else { "not approved" });
        }
        if call.origins.is_empty() {
            outln!("    calls    what it computes, where that is approved");
        }
        if !call.secrets.is_empty() {
            outln!("    secrets  {}", call.secrets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
        }
    }
}

/// A line for each capability: what it is granted for, and how much of it.
fn print_grants(grants: &Grants) {
    let entries = grants.entries();
    for of_one in entries.chunk_by(|one, next| one.capability == next.capability) {
        let capability = of_one[0].capability;
        let label = match capability {
            // Named with the task's own.
            "secrets" => continue,
            "sandbox" => "commands",
            "artifacts-read" => "reads",
            "artifacts-write" => "writes",
            other => other,
        };
        let names = of_one.iter().map(|entry| entry.subject.as_str()).filter(|name| *name != capability);
        let bound = of_one[0].bound.as_ref().map(|bound| format!("({bound})"));
        let said: Vec<&str> = names.chain(bound.as_deref()).collect();
        outln!("    {label:<8} {}", said.join(" "));
    }
}
