//! What a command template lets a tool reach, for those who review it.

use std::fmt;

use workflow::CommandName;
use workflow::review::{CommandReach, SandboxReach};

use super::parameter::{Parameter, ParameterKind, TextRule};
use super::pattern::{Item, Text};
use super::{Template, Templates};

/// What every command finds, beside the image: see `local/bwrap.rs`.
const MOUNTS: [&str; 5] = [
    "/workspace, writable",
    "/home/runner, writable",
    "/tmp and /dev/shm, empty and in memory",
    "/run/secrets, in memory and only where the command takes secrets",
    "127.0.0.1:3128, the way out to the hosts of the allow-list",
];

impl Template {
    /// What everything in this sandbox has around it.
    pub fn sandbox_reach(&self) -> SandboxReach {
        SandboxReach {
            template: self.name.clone(),
            template_digest: self.digest.clone(),
            // That of a `run.container` is in the policy of its task.
            image: None,
            image_name: None,
            tools: self.tools.iter().map(|(tool, versions)| (tool.clone(), versions.to_string())).collect(),
            memory_mib: self.limits.memory_mib,
            processes: self.limits.processes,
            output_mib: self.limits.output_mib,
            workspace_mib: self.limits.workspace_mib,
            mounts: MOUNTS.map(str::to_owned).to_vec(),
        }
    }

    /// What one command reaches; none if there is no such command.
    pub fn reach(&self, name: &CommandName) -> Option<CommandReach> {
        let (ours, short) = name.as_str().split_once('/')?;
        let command = self.commands.get(short).filter(|_| ours == self.name.as_str())?;
        Some(CommandReach {
            command: name.clone(),
            summary: command.summary.clone(),
            argv: command.argv.iter().map(ToString::to_string).collect(),
            parameters: command.parameters.iter().map(|(name, accepts)| (name.clone(), accepts.to_string())).collect(),
            sandbox: self.sandbox_reach(),
            mode: command.mode,
            egress: command.egress.clone(),
            mounts: command.inputs.clone(),
            secrets: command.secrets.clone(),
            capture: command.capture.iter().map(ToString::to_string).collect(),
            time_limit_seconds: command.time_limit_seconds.unwrap_or(self.limits.time_limit_seconds),
        })
    }
}

impl Templates {
    /// What a command of one of these templates reaches.
    pub fn reach(&self, name: &CommandName) -> Option<CommandReach> {
        self.iter().find_map(|template| template.reach(name))
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts = |value: &[Text]| value.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match self {
            Item::One(text) => text.fmt(f),
            Item::Flag { parameter, value } => write!(f, "[{} if {parameter}]", value.join(" ")),
            Item::Option { parameter, value } => write!(f, "[{} if {parameter} is given]", texts(value)),
            Item::Each { parameter, value } => write!(f, "[{} for each of {parameter}]", texts(value)),
        }
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ParameterKind::Text(rule) => write!(f, "text {rule}")?,
            ParameterKind::Texts { each, items_max } => write!(f, "at most {items_max} texts {each}")?,
            ParameterKind::Flag => f.write_str("flag")?,
            ParameterKind::Integer { min, max } => write!(f, "integer {min} to {max}")?,
            ParameterKind::Artifact => f.write_str("artifact of this instance")?,
        }
        if self.required || matches!(self.kind, ParameterKind::Flag) { Ok(()) } else { f.write_str(", may be absent") }
    }
}

impl fmt::Display for TextRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/, {} bytes", self.pattern(), self.length_max())?;
        let notes = [(self.is_path(), ", a plain relative path"), (self.allows_dash(), ", may begin with a dash")];
        notes.iter().filter(|(holds, _)| *holds).try_for_each(|(_, note)| f.write_str(note))
    }
}
