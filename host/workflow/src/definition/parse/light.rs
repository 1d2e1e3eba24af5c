//! `metadata.lightWorkflow`: where a task runs, and what it may do there.
//!
//! Other metadata is free; below this key everything has a meaning, so an
//! unknown field, or a field where it has no effect, is an error.

use std::collections::{BTreeMap, BTreeSet};

use serde::de::DeserializeOwned;
use serde_json::json;

use super::super::model::{Call, DataFlow, DocumentSecurity, LightMetadata, Task, TaskKind, TaskList};
use super::tasks::Context;
use super::{call, secrets, values};
use crate::capability::Grants;
use crate::command::SandboxMode;
use crate::effect::EffectClass;
use crate::event::FlowTarget;
use crate::expression::Template;
use crate::ids::{ArtifactUri, SecretName, TaskPath, TemplateName};
use crate::located::{Field, Node, NodeValue, Slot, among, closest};

const KEY: &str = "lightWorkflow";

/// Sandbox providers that a definition may name.
const PROVIDERS: [(&str, &str); 4] =
    [("local", "local"), ("cubesandbox", "cubesandbox"), ("engine", "engine"), ("kubernetes", "kubernetes")];

/// Fields of a task's block that mean something only for some kinds of task.
const FIELD_KINDS: [(&str, &[&str]); 7] = [
    ("security", &["run", "call", SERVER]),
    ("artifactPolicy", &["run", "call"]),
    ("onFailure", &["run", "call", OUTBOUND, SERVER]),
    ("effect", &["run", "call", OUTBOUND, SERVER]),
    ("grants", &["call"]),
    ("egress", &["run", SERVER]),
    ("plan", &["ask"]),
];

/// What `call: http` and kin are called here: the host itself acts, so nothing of a sandbox applies.
pub const OUTBOUND: &str = "a call of the host itself";

/// `call: mcp` over stdio: the host asks, and who is asked runs in a sandbox.
pub const SERVER: &str = "a server in a sandbox";

/// `document.metadata`.
pub fn document(metadata: &Field) -> Option<DocumentSecurity> {
    let Some(light) = light(metadata)? else {
        return Some(DocumentSecurity::default());
    };
    let [security] = light.fields(["security"])?;
    security.or(DocumentSecurity::default(), |field| {
        let [profile, sandbox] = field.fields(["executionProfile", "sandbox"])?;
        let profile = profile.optional(Field::text_some);
        let sandbox = self::sandbox(&sandbox)?;
        Some(DocumentSecurity {
            execution_profile: profile?.map(str::to_owned),
            mode: sandbox.mode,
            provider: sandbox.provider,
            template: sandbox.template,
            reason: sandbox.reason,
        })
    })
}

/// `metadata` of a task of this kind.
pub fn task(metadata: &Field, kind: &str, context: Context) -> Option<LightMetadata> {
    let Some(light) = light(metadata)? else {
        return Some(LightMetadata::default());
    };
    let [security, artifacts, on_failure, grants, effect, egress, plan] =
        light.fields(["security", "artifactPolicy", "onFailure", "grants", "effect", "egress", "plan"])?;
    refuse_without_effect(&light, kind);

    let security = security.or(TaskSecurity::default(), |field| task_security(field, context));
    let artifacts = artifacts.or((Vec::new(), BTreeMap::new()), artifact_policy);
    let grants = grants.or(Grants::default(), self::grants);
    let class = effect.optional(|field| {
        field.choice(&[
            ("pure", EffectClass::Pure),
            ("idempotent", EffectClass::Idempotent),
            ("reconcilable", EffectClass::Reconcilable),
            ("manual", EffectClass::Manual),
        ])
    });
    let egress = egress.or(Vec::new(), |field| field.each(host_and_port));
    let plan = plan.or(Vec::new(), |field| {
        field.no_item_twice(&field.items_some()?);
        field.each(|item| item.text_some().map(str::to_owned))
    });

    let (security, (capture, inputs)) = (security?, artifacts?);
    let on_failure = on_failure.or(TaskList::default(), |field| {
        self::on_failure(field, &security.sandbox, context).map(|call| TaskList(vec![call]))
    });
    Some(LightMetadata {
        mode: security.sandbox.mode,
        provider: security.sandbox.provider,
        template: security.sandbox.template,
        reason: security.sandbox.reason,
        execution_profile: security.execution_profile,
        secrets: security.secrets,
        grants: grants?,
        capture,
        inputs,
        class: class?,
        egress: egress?,
        on_failure: on_failure?,
        plan: plan?,
    })
}

/// Our part of some metadata. A slip in its name would switch everything in it off.
fn light<'a>(metadata: &Field<'a>) -> Option<Option<Field<'a>>> {
    for (key, _) in metadata.members()? {
        let name = key.text().unwrap_or_default();
        if name != KEY && closest(name, [KEY]).is_some() {
            metadata.unknown(key, " in `metadata`", [KEY].into_iter());
        }
    }
    Some(metadata.slot(KEY).given())
}

fn refuse_without_effect(light: &Field, kind: &str) {
    for (key, _) in light.members().unwrap_or_default() {
        let name = key.text().unwrap_or_default();
        for (_, kinds) in FIELD_KINDS.iter().filter(|(field, kinds)| *field == name && !kinds.contains(&kind)) {
            let what = if [OUTBOUND, SERVER].contains(&kind) { kind.to_owned() } else { format!("`{kind}`") };
            let message = format!("`{}.{name}` has no effect on {what}", light.label);
            let kinds = kinds.iter().filter(|kind| ![OUTBOUND, SERVER].contains(kind));
            let help = format!("remove it, or move it to a task with {}", among(kinds));
            light.problems.error(key, message, Some(help));
        }
    }
}

#[derive(Default)]
struct Sandbox {
    mode: Option<SandboxMode>,
    provider: Option<String>,
    template: Option<TemplateName>,
    reason: Option<String>,
}

fn sandbox(slot: &Slot) -> Option<Sandbox> {
    slot.or(Sandbox::default(), |field| {
        let [mode, provider, template, reason] = field.fields(["mode", "provider", "template", "reason"])?;
        let mode = mode.optional(|field| {
            field.choice(&[("workflow-session", SandboxMode::WorkflowSession), ("per-task", SandboxMode::PerTask)])
        });
        let provider = provider.optional(|field| field.choice(&PROVIDERS));
        let template = template.optional(Field::name::<TemplateName>);
        let reason = reason.optional(Field::text_some);
        Some(Sandbox {
            mode: mode?,
            provider: provider?.map(str::to_owned),
            template: template?,
            reason: reason?.map(str::to_owned),
        })
    })
}

#[derive(Default)]
struct TaskSecurity {
    execution_profile: Option<String>,
    sandbox: Sandbox,
    secrets: BTreeSet<SecretName>,
}

fn task_security(field: &Field, context: Context) -> Option<TaskSecurity> {
    let [sandbox, secrets, profile] = field.fields(["sandbox", "secrets", "executionProfile"])?;
    let sandbox = self::sandbox(&sandbox);
    let names = secrets.or(Vec::new(), |field| {
        field.no_item_twice(&field.items()?);
        field.each(|item| secrets::named(item, context.uses.secrets.as_ref()))
    });
    let profile = profile.optional(Field::text_some);
    let (sandbox, names) = (sandbox?, names?);
    if let Some(field) = secrets.given().filter(|_| !names.is_empty()) {
        let help = "add `sandbox: { mode: per-task, reason: … }` beside `secrets`";
        refuse_shared_sandbox(&field, sandbox.mode.or(context.security.mode), help);
    }
    Some(TaskSecurity { execution_profile: profile?.map(str::to_owned), sandbox, secrets: names.into_iter().collect() })
}

/// B4: what runs before and beside a task in its session must not see its secrets.
pub fn refuse_shared_sandbox(place: &Field, mode: Option<SandboxMode>, help: &str) {
    match mode {
        Some(SandboxMode::PerTask) => {}
        Some(SandboxMode::WorkflowSession) | None => {
            place.error("secrets go only into a fresh sandbox, and this task shares that of the workflow", Some(help))
        }
    }
}

fn artifact_policy(field: &Field) -> Option<(Vec<String>, BTreeMap<String, Template>)> {
    let [capture, inputs] = field.fields(["capture", "inputs"])?;
    let capture = capture.or(Vec::new(), |field| field.each(|item| item.relative_path().map(str::to_owned)));
    let inputs = inputs.or(BTreeMap::new(), |field| {
        for (key, _) in field.members()? {
            field.inner(key, key.text().unwrap_or_default()).relative_path();
        }
        field.each_entry(|_, value| artifact(value))
    });
    Some((capture?, inputs?))
}

/// A reference to a stored file, or an expression that gives one.
fn artifact(field: &Field) -> Option<Template> {
    let text = field.text()?;
    if !values::has_expression(field.node) {
        field.name::<ArtifactUri>()?;
    }
    values::text_template(field).filter(|_| !text.is_empty())
}

/// `onFailure`, as the task that makes its call. It acts where the task does that it is about.
fn on_failure(field: &Field, sandbox: &Sandbox, context: Context) -> Option<Task> {
    let [call, with, grants] = field.fields(["call", "with", "grants"])?;
    let function = call.required(call::function);
    // What a plugin that diagnoses asks for, unless the definition says something else.
    let failure = Template::compile(&json!({ "failure": "${ .failure }" })).ok();
    let with = match with.given() {
        Some(with) => with.members().and_then(|_| values::template(&with)),
        None => failure,
    };
    let grants = grants.or(Grants::default(), self::grants);
    let (plugin, version) = function?;
    let light = LightMetadata {
        mode: sandbox.mode,
        provider: sandbox.provider.clone(),
        template: sandbox.template.clone(),
        grants: grants?,
        ..LightMetadata::default()
    };
    Some(Task {
        name: plugin.to_string(),
        reference: context.path.child(TaskPath::ON_FAILURE, 0, plugin.as_str()).reference(),
        line: context.expansion.called_at.unwrap_or(field.node.line),
        condition: None,
        input: DataFlow::default(),
        output: DataFlow::default(),
        export: DataFlow::default(),
        timeout: None,
        then: FlowTarget::Continue,
        light,
        extensions: Vec::new(),
        source: field.node.to_json(),
        kind: TaskKind::Call(Call { plugin, version, with: with? }),
    })
}

/// `grants`, in the shape of [`Grants`], one interface after the other.
fn grants(field: &Field) -> Option<Grants> {
    let [log, artifacts_read, artifacts_write, sandbox, secrets, model, mcp, http, wasi_baseline, limits] = field
        .fields([
            "log",
            "artifacts-read",
            "artifacts-write",
            "sandbox",
            "secrets",
            "model",
            "mcp",
            "http",
            "wasi-baseline",
            "limits",
        ])?;
    let log = log.optional(grant);
    let artifacts_read = artifacts_read.optional(grant);
    let artifacts_write = artifacts_write.optional(grant);
    let sandbox = sandbox.optional(grant);
    let secrets = secrets.optional(grant);
    let (model, mcp, http) = (model.optional(grant), mcp.optional(grant), http.optional(grant));
    let (wasi_baseline, limits) = (wasi_baseline.optional(grant), limits.optional(grant));
    Some(Grants {
        log: log?,
        artifacts_read: artifacts_read?,
        artifacts_write: artifacts_write?,
        sandbox: sandbox?,
        secrets: secrets?,
        model: model?,
        mcp: mcp?,
        http: http?,
        wasi_baseline: wasi_baseline?,
        limits: limits?.unwrap_or_default(),
    })
}

/// One grant by its own `Deserialize`, so that its fields are named in one place only.
fn grant<T: DeserializeOwned>(field: &Field) -> Option<T> {
    match serde_json::from_value(field.node.to_json()) {
        Ok(grant) => Some(grant),
        Err(error) => {
            let message = error.to_string();
            let place = named_in(field, &message).unwrap_or(field.node);
            field.problems.error(place, format!("`{}`: {message}", field.label), None);
            None
        }
    }
}

/// The key or text below `field` that a message puts in backticks.
fn named_in<'a>(field: &Field<'a>, message: &str) -> Option<&'a Node> {
    let name = message.split('`').nth(1)?;
    let members = field.members()?;
    let inside = members.iter().filter_map(|(_, value)| match &value.value {
        NodeValue::List(items) => Some(items),
        NodeValue::Null | NodeValue::Bool(_) | NodeValue::Number(_) | NodeValue::Text(_) | NodeValue::Map(_) => None,
    });
    let mut places = members.iter().map(|(key, _)| key).chain(inside.flatten());
    places.find(|place| place.is_text(name))
}

/// `host:port`, or `*.host:port` for everything below a host.
fn host_and_port(field: &Field) -> Option<String> {
    let text = field.text()?;
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let labels = host.strip_prefix("*.").unwrap_or(host);
    let host_fits = labels
        .split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    let port_fits = port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port);
    if host_fits && port_fits {
        return Some(text.to_owned());
    }
    field.error(
        format!("`{}`: `{text}` is not a host and a port", field.label),
        Some("write `index.crates.io:443`; `*.crates.io:443` is every host below"),
    );
    None
}
