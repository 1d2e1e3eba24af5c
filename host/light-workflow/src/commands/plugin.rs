//! `plugin`: one subcommand, one file.

mod approve;
mod attack;
mod build;
mod diff;
mod distribution;
mod encode;
mod explain;
mod facts;
mod inspect;
mod list;
mod new;
mod project;
mod report;
mod test;
mod tool;

use serde_json::json;
use workflow::capability::PluginManifest;

use super::Context;
use crate::cli::Plugin;
use crate::output::Failure;

pub async fn run(context: &Context, plugin: Plugin) -> Result<u8, Failure> {
    match plugin {
        Plugin::Inspect(inspect) => inspect::run(context, inspect).await,
        Plugin::Report(report) => report::run(context, report).await,
        Plugin::Diff(diff) => diff::run(context, diff).await,
        Plugin::Approve(approve) => approve::run(context, approve),
        Plugin::Explain(explain) => explain::run(context, explain).await,
        Plugin::List(output) => list::run(&context.parts()?, output),
        Plugin::Push(push) => distribution::push(&context.parts()?, &push).await,
        Plugin::Pull(pull) => distribution::pull(&context.parts()?, &pull).await,
        Plugin::Sign(sign) => distribution::sign(&context.parts()?, &sign),
        Plugin::Encode(encode) => encode::run(encode).await,
        Plugin::New(new) => new::run(&new),
        Plugin::Build(build) => build::run(build).await,
        Plugin::Test(test) => test::run(test).await,
        Plugin::Attack(attack) => attack::run(&context.parts()?, attack).await,
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
