//! The host functions: authorise, count, ask the worker.

use wasmtime::Result;
use wasmtime::component::Resource;
use workflow::{CommandName, SecretName};

use super::{Answer, SecretHandle, State, Stop, Turn};
use crate::bindings::{self, artifacts_read, artifacts_write, log, sandbox, sandbox_secret, secrets, types};
use crate::call::LimitReached;
use crate::interface::Interface;

/// A longer log line is cut: it is for people.
const LOG_LINE_BYTES_MAX: usize = 8 << 10;

impl types::Host for State {}

impl log::Host for State {
    async fn emit(&mut self, level: log::Level, message: String, fields: Vec<(String, String)>) -> Result<()> {
        let message = one_line(&message);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (one_line(name), one_line(value))).collect();
        if level == log::Level::Error {
            self.last_error = Some(message.clone());
        }
        self.used.log_lines += 1;
        self.used.log_bytes += message.len() as u64;
        self.used.log_bytes += fields.iter().map(|(name, value)| (name.len() + value.len()) as u64).sum::<u64>();
        let Turn::Execute(host) = &mut self.turn else {
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
        host.log(level.into(), message, fields).await;
        self.clock.resume();
        Ok(())
    }
}

impl artifacts_read::Host for State {
    async fn stat(&mut self, uri: String) -> Answer<artifacts_read::ArtifactStat> {
        let site = self.begin()?;
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
        let site = self.begin()?;
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
        let site = self.begin()?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::ArtifactsWrite, &name, reason).await;
        }
        let grant = self.grants.artifacts_write.clone();
        let Some(grant) = grant.filter(|grant| grant.names.contains(&name)) else {
            let reason = "the name is not in `artifacts-write.names` of the task's grants".to_owned();
            return self.deny(site, Interface::ArtifactsWrite, &name, reason).await;
        };
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
        let site = self.begin()?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, Interface::Secrets, &name, reason).await;
        }
        let granted = self.grants.secrets.as_ref();
        let secret = SecretName::new(name.as_str()).ok();
        let Some(name) = secret.filter(|secret| granted.is_some_and(|grant| grant.names.contains(secret))) else {
            let reason = "the secret is not in `secrets.names` of the task's grants".to_owned();
            return self.deny(site, Interface::Secrets, &name, reason).await;
        };
        match self.secrets.push(SecretHandle { name }) {
            Ok(handle) => Ok(Ok(handle)),
            Err(_full) => Err(self.end(Stop::Limit(LimitReached::Handles { max: self.limits.handles_max }))),
        }
    }
}

impl secrets::HostSecret for State {
    async fn name(&mut self, secret: Resource<SecretHandle>) -> Result<String> {
        Ok(self.secrets.get(&secret)?.name.to_string())
    }

    async fn drop(&mut self, secret: Resource<SecretHandle>) -> Result<()> {
        self.secrets.delete(secret)?;
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
            secrets.iter().map(|secret| self.secrets.get(secret).map(|handle| handle.name.clone())).collect();
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
        let site = self.begin()?;
        if let Some(reason) = self.without_effects() {
            return self.deny(site, interface, &command, reason).await;
        }
        let grant = self.grants.sandbox.as_ref();
        let name = CommandName::new(command.as_str()).ok();
        let granted = name.filter(|name| grant.is_some_and(|grant| grant.commands.contains(name)));
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
        Ok(result.map(Into::into))
    }
}

/// Text that cannot move a terminal's cursor or forge a second line.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(LOG_LINE_BYTES_MAX);
    let mut line: String = text[..end]
        .chars()
        .map(|c| {
            if c == '\n' || c == '\t' {
                ' '
            } else if c.is_control() {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect();
    if end < text.len() {
        line.push_str(&format!("… ({} bytes more)", text.len() - end));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{LOG_LINE_BYTES_MAX, one_line};

    #[test]
    fn a_log_line_stays_one_line_and_moves_no_cursor() {
        assert_eq!(one_line("a\nb\x1b[2Jc\0"), "a b\u{fffd}[2Jc\u{fffd}");
    }

    #[test]
    fn a_long_log_line_is_cut_at_a_character() {
        let line = one_line(&"é".repeat(LOG_LINE_BYTES_MAX));
        assert!(line.ends_with("é… (8192 bytes more)"), "{}", &line[line.len() - 40..]);
    }
}
