//! `plugin`: one subcommand, one file.

mod encode;
mod inspect;
mod list;

use serde_json::json;
use workflow::capability::PluginManifest;

use super::Context;
use crate::cli::Plugin;
use crate::output::Failure;

pub fn run(context: &Context, plugin: Plugin) -> Result<u8, Failure> {
    match plugin {
        Plugin::Inspect(inspect) => inspect::run(&context.parts()?, inspect),
        Plugin::List(output) => list::run(&context.parts()?, output),
        Plugin::Encode(encode) => encode::run(encode),
    }
}

fn as_json(manifest: &PluginManifest) -> serde_json::Value {
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "world": manifest.world,
        "summary": manifest.summary,
        "asks": manifest.asks,
        "reasons": manifest.reasons,
    })
}
