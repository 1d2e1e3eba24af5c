//! The effective policy of an instance: what each task may do, resolved once,
//! before anything is written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::capability::{CallPolicy, ChildDefinition, EffectivePolicy, Grants, PluginPolicy, TaskPolicy};
use crate::command::SandboxMode;
use crate::definition::outbound::{Endpoint, Outbound};
use crate::definition::{Definition, Problem, Process, Run, Task, TaskKind, TaskList, WorkflowName, problem_at};
use crate::ids::{Digest, PluginName, TaskPath, TemplateName};
use crate::image::TaskImage;
use crate::origin::Origin;

/// What the host has to offer: its templates, and its answer for each plugin.
pub struct PolicySources<'a> {
    /// Loaded sandbox templates with their digests.
    pub templates: &'a BTreeMap<TemplateName, Digest>,
    /// Names of the sandbox providers this host has: another one is never replaced by a weaker boundary.
    pub providers: &'a [&'a str],
    /// The approved digest and the effective grants of a plugin for a task that
    /// grants it `Grants`, or every reason why not.
    pub plugin: &'a PluginAnswer<'a>,
    /// The definition that a `run.workflow` names, or why there is none.
    pub workflow: &'a WorkflowAnswer<'a>,
    /// Whether a terminal's `--yes` may answer approvals.
    pub allow_auto_approval: bool,
    /// Origins that the host's own calls may reach.
    pub approved_calls: &'a BTreeSet<Origin>,
    /// Whether `call: echo` exists (benchmarks and simulations).
    pub echo: bool,
}

/// The effective grants of a plugin under a task's grants, or the reasons why there are none.
pub type PluginAnswer<'a> = dyn Fn(&PluginName, &Grants) -> Result<PluginPolicy, Vec<String>> + 'a;

/// A definition by name, or the reason why there is none.
pub type WorkflowAnswer<'a> = dyn Fn(&WorkflowName) -> Result<Arc<Definition>, String> + 'a;

/// The sandbox template of a `run.container` where the definition names none.
pub const CONTAINER_TEMPLATE: &str = "container";

/// Something that policy does not allow, with its place in the definition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: task `{task}` {message}")]
pub struct PolicyProblem {
    pub task: String,
    pub reference: String,
    pub line: usize,
    pub message: String,
}

impl PolicyProblem {
    /// As a problem of the file that `definition` was read from.
    pub fn at(&self, definition: &Definition, file: &str) -> Problem {
        problem_at(definition, file, &self.reference, &format!("task `{}` {}", self.task, self.message), None)
    }
}

/// The effective policy of `definition` on this host, or all that stands against it.
pub fn resolve(definition: &Definition, sources: &PolicySources) -> Result<EffectivePolicy, Vec<PolicyProblem>> {
    let (policy, problems) = examine(definition, sources);
    if problems.is_empty() { Ok(policy) } else { Err(problems) }
}

/// Like [`resolve`], for those who look and start nothing: the policy of each
/// task against which nothing stands, and what stands against the others.
pub fn examine(definition: &Definition, sources: &PolicySources) -> (EffectivePolicy, Vec<PolicyProblem>) {
    let Resolver { mut policy, mut problems, children, .. } = resolve_one(definition, sources);
    // Each definition once: one that runs itself in the end must not go on for ever here.
    let mut open: VecDeque<Child> = children.into();
    while let Some(Child { definition, started_by }) = open.pop_front() {
        if policy.definitions.contains_key(&definition.digest) {
            continue;
        }
        let child = resolve_one(&definition, sources);
        problems.extend(child.problems.into_iter().map(|problem| PolicyProblem {
            message: format!("runs `{}`, and there {problem}", definition.full_name()),
            ..started_by.clone()
        }));
        open.extend(
            child
                .children
                .into_iter()
                .map(|child| Child { started_by: started_by.clone(), definition: child.definition }),
        );
        policy.definitions.insert(definition.digest.clone(), child.policy);
    }
    (policy, problems)
}

/// One definition, without those that it runs.
fn resolve_one<'a>(definition: &'a Definition, sources: &'a PolicySources<'a>) -> Resolver<'a> {
    let policy = EffectivePolicy {
        allow_auto_approval: sources.allow_auto_approval,
        echo: sources.echo,
        ..EffectivePolicy::default()
    };
    let mut resolver = Resolver { definition, sources, policy, problems: Vec::new(), children: Vec::new() };
    resolver.list(&definition.tasks);
    resolver
}

/// A definition that is run, and the task of the first definition that leads to it.
struct Child {
    definition: Arc<Definition>,
    started_by: PolicyProblem,
}

struct Resolver<'a> {
    definition: &'a Definition,
    sources: &'a PolicySources<'a>,
    policy: EffectivePolicy,
    problems: Vec<PolicyProblem>,
    children: Vec<Child>,
}

impl Resolver<'_> {
    fn list(&mut self, tasks: &TaskList) {
        for task in &tasks.0 {
            self.task(task);
        }
    }

    fn task(&mut self, task: &Task) {
        task.lists().into_iter().for_each(|list| self.list(list));
        match &task.kind {
            TaskKind::Run(run) => {
                let said = self.problems.len();
                self.effect(task, None);
                // What stands against it is said once.
                if !run.awaits && self.problems.len() == said {
                    self.detached(task);
                }
            }
            TaskKind::RunWorkflow(run) => self.child(task, &run.workflow),
            TaskKind::Outbound(outbound) if outbound.needs_sandbox() => self.effect(task, None),
            TaskKind::Outbound(outbound) => self.outbound(task, outbound),
            TaskKind::Call(call) if self.sources.echo && call.plugin.as_str() == "echo" => {}
            TaskKind::Call(call) => match (self.sources.plugin)(&call.plugin, &task.light.grants) {
                Ok(plugin) => self.effect(task, Some(plugin)),
                Err(reasons) => {
                    for reason in reasons {
                        self.problem(task, format!("may not call plugin `{}`: {reason}", call.plugin));
                    }
                }
            },
            TaskKind::Do(_)
            | TaskKind::For(_)
            | TaskKind::Try(_)
            | TaskKind::Fork(_)
            | TaskKind::Function(_)
            | TaskKind::Listen(_)
            | TaskKind::Set(_)
            | TaskKind::Switch(_)
            | TaskKind::Assert(_)
            | TaskKind::Ask(_)
            | TaskKind::Raise(_)
            | TaskKind::Wait(_)
            | TaskKind::Emit(_) => {}
        }
    }

    /// What a `run` starts and does not wait for.
    fn detached(&mut self, task: &Task) {
        if let Some(definition) = self.definition.detached.get(&task.reference) {
            self.pin(task, definition.clone());
        }
    }

    fn pin(&mut self, task: &Task, definition: Arc<Definition>) {
        let child = ChildDefinition { definition: definition.digest.clone(), name: definition.full_name() };
        self.policy.children.insert(task.reference.clone(), child);
        self.children.push(Child { definition, started_by: problem_of(task, String::new()) });
    }

    fn child(&mut self, task: &Task, name: &WorkflowName) {
        match (self.sources.workflow)(name) {
            Ok(definition) => self.pin(task, definition),
            Err(reason) => self.problem(task, format!("runs workflow `{name}`: {reason}")),
        }
    }

    /// What the host itself calls. An origin that nobody approved is no problem
    /// of the definition: who starts it looks at [`EffectivePolicy::unapproved_calls`].
    fn outbound(&mut self, task: &Task, outbound: &Outbound) {
        let authentications = outbound.authentications();
        let authorities = authentications.iter().filter_map(|policy| policy.authority());
        let approved = self.sources.approved_calls;
        let service = outbound.grpc_origins().map(|(secure, plain)| {
            if !approved.contains(&secure) && approved.contains(&plain) { plain } else { secure }
        });
        let origins = outbound.endpoints().into_iter().filter_map(Endpoint::origin);
        let call = CallPolicy {
            origins: origins.chain(service).chain(authorities).collect(),
            secrets: outbound.secrets().cloned().collect(),
        };
        self.policy.calls.approved.clone_from(self.sources.approved_calls);
        self.policy.calls.tasks.insert(task.reference.clone(), call);
    }

    /// A task that acts on the world: it needs a template, and secrets need a fresh sandbox.
    fn effect(&mut self, task: &Task, plugin: Option<PluginPolicy>) {
        let security = &self.definition.security;
        let mode = task.light.mode.or(security.mode).unwrap_or(SandboxMode::WorkflowSession);
        let provider = task.light.provider.as_ref().or(security.provider.as_ref());
        if let Some(provider) = provider.filter(|provider| !self.sources.providers.contains(&provider.as_str())) {
            let message = format!(
                "asks for sandbox provider `{provider}`, which this host does not have; it has {}",
                listed(self.sources.providers)
            );
            self.problem(task, message);
        }
        let image = image_of(&task.kind);
        let named = task.light.template.clone().or_else(|| security.template.clone());
        // An image brings its own root file system: what is left of a template is its limits.
        let built_in = image.as_ref().and_then(|_| TemplateName::new(CONTAINER_TEMPLATE).ok());
        let Some(template) = named.or(built_in) else {
            return self.problem(
                task,
                "needs a sandbox template; name one in `document.metadata.lightWorkflow.security.sandbox.template`"
                    .to_owned(),
            );
        };
        let Some(digest) = self.sources.templates.get(&template) else {
            return self.problem(
                task,
                format!(
                    "names sandbox template `{template}`, which this host does not have; it has {}",
                    listed(self.sources.templates.keys())
                ),
            );
        };
        let granted_secrets = plugin.as_ref().and_then(|plugin| plugin.grants.secrets.as_ref());
        let mut secrets = task.light.secrets.clone();
        secrets.extend(granted_secrets.into_iter().flat_map(|grant| grant.names.iter().cloned()));
        if mode != SandboxMode::PerTask && !secrets.is_empty() {
            self.problem(task, "uses secrets, so its sandbox mode must be `per-task`".to_owned());
        }
        if let Some(undeclared) = secrets.iter().find(|name| !task.light.secrets.contains(*name)) {
            self.problem(task, format!("grants secret `{undeclared}` without naming it in `security.secrets`"));
        }
        self.policy.templates.insert(template.clone(), digest.clone());
        self.policy.tasks.insert(
            task.reference.clone(),
            TaskPolicy { template, mode, reason: task.light.reason.clone(), secrets, plugin, image },
        );
    }

    fn problem(&mut self, task: &Task, message: String) {
        let message = match failed_task(&task.reference) {
            Some(failed) => format!("(`onFailure` of `{failed}`) {message}"),
            None => message,
        };
        self.problems.push(problem_of(task, message));
    }
}

/// The name of the task whose `onFailure` makes this call, if one does.
fn failed_task(reference: &str) -> Option<&str> {
    let (failed, _) = reference.rsplit_once(&format!("/{}/0/", TaskPath::ON_FAILURE))?;
    failed.rsplit('/').next()
}

/// The image that a task names. Which one that is the host finds out later: see [`EffectivePolicy::images_mut`].
fn image_of(kind: &TaskKind) -> Option<TaskImage> {
    let TaskKind::Run(Run { process: Process::Container(container), .. }) = kind else { return None };
    Some(TaskImage { name: container.image.clone(), pull: container.pull, pinned: None })
}

fn problem_of(task: &Task, message: String) -> PolicyProblem {
    PolicyProblem { task: task.name.clone(), reference: task.reference.clone(), line: task.line, message }
}

/// `` `a`, `b` ``, or that there is none.
fn listed<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition;

    fn problems(security: &str, light: &str) -> Vec<String> {
        let text = format!(
            "document: {{ dsl: '1.0.3', namespace: n, name: d, version: '1.0.0',\n  metadata: {{ lightWorkflow: {{ security: {security} }} }} }}\n\
             do:\n- t: {{ run: {{ shell: {{ command: ls }} }}, metadata: {{ lightWorkflow: {light} }} }}\n"
        );
        let definition = definition::parse(&text, "d.yaml").unwrap();
        let templates = [("small".parse().unwrap(), Digest::of(b"small"))].into();
        let sources = PolicySources {
            templates: &templates,
            providers: &["local"],
            plugin: &|_, _| Err(vec!["there is none".to_owned()]),
            workflow: &|_| Err("there is none".to_owned()),
            allow_auto_approval: false,
            approved_calls: &BTreeSet::new(),
            echo: false,
        };
        match resolve(&definition, &sources) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.into_iter().map(|problem| problem.message).collect(),
        }
    }

    #[test]
    fn what_this_host_lacks_is_refused_and_never_replaced() {
        let cases = [
            ("{ sandbox: { provider: local, template: small } }", "{}", vec![]),
            (
                "{ sandbox: { provider: cubesandbox, template: small } }",
                "{}",
                vec!["asks for sandbox provider `cubesandbox`, which this host does not have; it has `local`"],
            ),
            (
                "{ sandbox: { template: large } }",
                "{}",
                vec!["names sandbox template `large`, which this host does not have; it has `small`"],
            ),
            (
                "{ sandbox: { template: small } }",
                "{ onFailure: { call: diagnose } }",
                vec!["(`onFailure` of `t`) may not call plugin `diagnose`: there is none"],
            ),
        ];
        for (security, light, expected) in cases {
            assert_eq!(problems(security, light), expected, "{security} {light}");
        }
    }
}
