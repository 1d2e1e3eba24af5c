//! The host functions: authorise, count, ask the worker.

use wasmtime::Result;
use wasmtime::component::Resource;
use workflow::{CommandName, SecretName};

use super::{Answer, SecretHandle, State, Stop, Turn};
use crate::baseline::Written;
use crate::bindings::{self, artifacts_read, artifacts_write, log, sandbox, sandbox_secret, secrets, types};
use crate::call::LimitReached;
use crate::host_calls::LogLevel;
use crate::interface::Interface;
use crate::texts::{LOG_LINE_BYTES_MAX, SUBJECT_BYTES_MAX, is_media_type, one_line};

/// Fields of one log line; more are counted and left out.
const LOG_FIELDS_MAX: usize = 32;

impl types::Host for State {}

impl log::Host for State {
    async fn emit(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.log_output(false).await?;
        let message = one_line(&message, LOG_LINE_BYTES_MAX);
        let left_out = fields.len().saturating_sub(LOG_FIELDS_MAX);
        let line = |text: &String| one_line(text, LOG_LINE_BYTES_MAX);
        let mut fields: Vec<_> =
            fields.iter().take(LOG_FIELDS_MAX).map(|(name, value)| (line(name), line(value))).collect();
        if left_out > 0 {
            fields.push(("…".to_owned(), format!("{left_out} fields more")));
        }
        if level == log::Level::Error {
            self.last_error = Some(message.clone());
        }
        self.log_line(level.into(), message, fields).await
    }
}

impl State {
    /// A line for the worker, counted; dropped while nothing is executed.
    async fn log_line(&mut self, level: LogLevel, message: String, fields: Vec<(String, String)>) -> Result<()> {
        self.used.log_lines += 1;
        self.used.log_bytes += message.len() as u64;
        self.used.log_bytes += fields.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
        let Turn::Execute(host) = &mut self.turn else {
            // Dropped, and counted all the same: a flood costs the host as much as any other call.
            if u64::from(self.used.log_lines) > self.limits.host_calls_max {
                return Err(self.end(Stop::Limit(LimitReached::HostCalls { max: self.limits.host_calls_max })));
            }
            return Ok(());
        };
        let grant = self.grants.log.as_ref().map_or((0, 0), |grant| (grant.lines_max, grant.bytes_max));
        if self.used.log_lines > grant.0 {
            return Err(self.end(Stop::Limit(LimitReached::LogLines { max: grant.0 })));
        }
        if self.used.log_bytes > grant.1 {
            return Err(self.end(Stop::Limit(LimitReached::LogBytes { max: grant.1 })));
        }
        self.clock.pause();
        host.log(level, message, fields).await;
        self.clock.resume();
        Ok(())
    }

    /// What a wasi-baseline component printed becomes log lines: stdout is
    /// information, stderr a warning. `rest`: a line without an end is one too.
    pub(crate) async fn log_output(&mut self, rest: bool) -> Result<()> {
        let Some(output) = self.baseline.as_ref().map(|baseline| baseline.output().clone()) else {
            return Ok(());
        };
        let lines = if rest { output.take_rest() } else { output.take() };
        for (written, line) in lines {
            let line = one_line(&line, LOG_LINE_BYTES_MAX);
            match written {
                Written::Stdout => self.log_line(LogLevel::Info, line, Vec::new()).await?,
                Written::Stderr => {
                    self.last_words(&line);
                    self.log_line(LogLevel::Warn, line, Vec::new()).await?;
                }
            }
        }
        Ok(())
    }

    /// A panic's text and a traceback's end are the last lines of stderr.
    fn last_words(&mut self, line: &str) {
        if line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let words = match self.last_error.take() {
            Some(before) if before.ends_with(':') => format!("{before} {line}"),
            Some(_) | None => line.to_owned(),
        };
        self.last_error = Some(words);
    }
}

impl artifacts_read::Host for State {
    async fn stat(&mut self, uri: String) -> Answer<artifacts_read::ArtifactStat> {
        let site = self.begin().await?;
        let uri = match self.readable(site, &uri).await? {
            Ok(uri) => uri,
            Err(error) => return Ok(Err(error)),
        };
        let stat = ask!(self, stat_artifact(site, &uri))?;
        Ok(stat.map(|stat| artifacts_read::ArtifactStat {
            size_bytes: stat.size_bytes,
            digest: stat.digest,
            media_type: stat.media_type,
        }))
    }

    async fn read(&mut self, uri: String, offset: u64, length: u32) -> Answer<Vec<u8>> {
        let site = self.begin().await?;
        let uri = match self.readable(site, &uri).await? {
            Ok(uri) => uri,
            Err(error) => return Ok(Err(error)),
        };
        // What the worker reads for one call is bounded, whatever the plugin asks for.
        let length = length.min(u32::try_from(self.limits.host_call_bytes_max / 2).unwrap_or(u32::MAX));
        ask!(self, read_artifact(site, &uri, offset, length))
    }
}

impl artifacts_write::Host for State {
    async fn put(&mut self, name: String, media_type: String, bytes: Vec<u8>) -> Answer<String> {
        let site = self.begin().await?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::ArtifactsWrite, &name, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::ArtifactsWrite, &name)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let grant = self.grants.artifacts_write.clone();
        let Some(grant) = grant.filter(|grant| was_allowed || grant.names.contains(&name)) else {
            let reason = "the name is not in `artifacts-write.names` of the task's grants".to_owned();
            return self.deny(site, Interface::ArtifactsWrite, &name, reason).await;
        };
        if !is_media_type(&media_type) {
            let text = format!("`{}` is not a media type", one_line(&media_type, SUBJECT_BYTES_MAX));
            return Ok(Err(types::CallError::Invalid(text)));
        }
        let total = self.used.written_bytes + bytes.len() as u64;
        if total > grant.bytes_max {
            let text =
                format!("`{name}` would bring what this call stored to {total} bytes; granted are {}", grant.bytes_max);
            return Ok(Err(types::CallError::Quota(text)));
        }
        let stored = ask!(self, put_artifact(site, &name, &media_type, bytes))?;
        if stored.is_ok() {
            self.used.written_bytes = total;
        }
        Ok(stored.map(String::from))
    }
}

impl sandbox::Host for State {
    async fn exec(
        &mut self,
        command: String,
        parameters: Vec<(String, sandbox::Parameter)>,
    ) -> Answer<sandbox::CommandResult> {
        self.run(Interface::Sandbox, command, parameters, Vec::new()).await
    }
}

impl secrets::Host for State {
    async fn acquire(&mut self, name: String) -> Answer<Resource<SecretHandle>> {
        let site = self.begin().await?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::Secrets, &name, reason).await;
        }
        let was_allowed = match self.restored(site, Interface::Secrets, &name)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let granted = self.grants.secrets.as_ref();
        let secret = SecretName::new(name.as_str()).ok();
        let Some(name) =
            secret.filter(|secret| was_allowed || granted.is_some_and(|grant| grant.names.contains(secret)))
        else {
            let reason = "the secret is not in `secrets.names` of the task's grants".to_owned();
            return self.deny(site, Interface::Secrets, &name, reason).await;
        };
        match self.table.push(SecretHandle { name }) {
            Ok(handle) => Ok(Ok(handle)),
            Err(_full) => Err(self.end(Stop::Limit(LimitReached::Handles { max: self.limits.handles_max }))),
        }
    }
}

impl secrets::HostSecret for State {
    async fn name(&mut self, secret: Resource<SecretHandle>) -> Result<String> {
        Ok(self.table.get(&secret)?.name.to_string())
    }

    async fn drop(&mut self, secret: Resource<SecretHandle>) -> Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

impl sandbox_secret::Host for State {
    async fn exec_with_secrets(
        &mut self,
        command: String,
        parameters: Vec<(String, sandbox::Parameter)>,
        secrets: Vec<Resource<SecretHandle>>,
    ) -> Answer<sandbox::CommandResult> {
        let names: Result<Vec<_>, _> =
            secrets.iter().map(|secret| self.table.get(secret).map(|handle| handle.name.clone())).collect();
        self.run(Interface::SandboxSecret, command, parameters, names?).await
    }
}

impl State {
    async fn run(
        &mut self,
        interface: Interface,
        command: String,
        parameters: Vec<(String, sandbox::Parameter)>,
        secrets: Vec<SecretName>,
    ) -> Answer<sandbox::CommandResult> {
        let site = self.begin().await?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, interface, &command, reason).await;
        }
        let was_allowed = match self.restored(site, interface, &command)? {
            Ok(was_allowed) => was_allowed,
            Err(denied) => return Ok(Err(denied)),
        };
        let grant = self.grants.sandbox.as_ref();
        let name = CommandName::new(command.as_str()).ok();
        let granted = name.filter(|name| was_allowed || grant.is_some_and(|grant| grant.commands.contains(name)));
        let (Some(name), Some(grant)) = (granted, grant) else {
            let reason = "the command is not in `sandbox.commands` of the task's grants".to_owned();
            return self.deny(site, interface, &command, reason).await;
        };
        if self.used.commands >= grant.commands_max {
            let text =
                format!("this call ran {} commands, as many as `sandbox.commands-max` grants", self.used.commands);
            return Ok(Err(types::CallError::Quota(text)));
        }
        let converted: Result<Vec<_>, String> =
            parameters.into_iter().map(|(name, value)| Ok((name, bindings::parameter(value)?))).collect();
        let parameters = match converted {
            Ok(parameters) => parameters,
            Err(detail) => return Ok(Err(types::CallError::Invalid(detail))),
        };
        self.used.commands += 1;
        let result = ask!(self, exec(site, &name, parameters, secrets))?;
        if let (Some(baseline), Ok(result)) = (&self.baseline, &result) {
            baseline.advance(result.duration_ms.saturating_mul(1_000_000));
        }
        Ok(result.map(Into::into))
    }
}
