//! A worker's side for steps that never come to ask for anything.

use async_trait::async_trait;
use plugin_host::{
    ArtifactStat, CallSite, Denial, HostCallError, HostCalls, HttpRequest, HttpResponse, LogLevel, ModelAnswer,
    ModelQuestion, Parameter, ToolAnswer,
};
use serde_json::Value;
use workflow::{ArtifactUri, CommandName, CommandResult, McpTool, SecretName};

/// Ends whatever asks it.
pub(crate) struct Mute;

#[async_trait]
impl HostCalls for Mute {
    async fn exec(
        &mut self,
        _: CallSite,
        _: &CommandName,
        _: Vec<(String, Parameter)>,
        _: Vec<SecretName>,
    ) -> Result<CommandResult, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn stat_artifact(&mut self, _: CallSite, _: &ArtifactUri) -> Result<ArtifactStat, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn read_artifact(&mut self, _: CallSite, _: &ArtifactUri, _: u64, _: u32) -> Result<Vec<u8>, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn put_artifact(&mut self, _: CallSite, _: &str, _: &str, _: Vec<u8>) -> Result<ArtifactUri, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn ask_model(&mut self, _: CallSite, _: ModelQuestion) -> Result<ModelAnswer, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn call_tool(&mut self, _: CallSite, _: &McpTool, _: Value) -> Result<ToolAnswer, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn fetch(&mut self, _: CallSite, _: HttpRequest) -> Result<HttpResponse, HostCallError> {
        Err(HostCallError::Interrupted)
    }

    async fn log(&mut self, _: LogLevel, _: String, _: Vec<(String, String)>) {}

    async fn denied(&mut self, _: CallSite, _: &Denial) {}
}
