//! `plugin attack`: hostile components against this host's own configuration.

use attack::{Range, Target, Verdict};
use plugin_host::HostConfig;
use plugin_host::compiler::Compiler;
use serde_json::json;

use crate::cli::{Format, PluginAttack};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, FAILED, Failure, outln};

/// Nothing of the data folder is touched: the range has a store, compiled code
/// and secrets of its own, and its commands are answered and never run.
pub async fn run(parts: &Parts, attack: PluginAttack) -> Result<u8, Failure> {
    let wanted = |name: &str| attack.names.is_empty() || attack.names.iter().any(|part| name.contains(part.as_str()));
    let cases: Vec<_> = attack::all().into_iter().filter(|case| wanted(case.name)).collect();
    if cases.is_empty() {
        return Err(Failure::used_wrongly(format!(
            "no attack has a name with `{}` in it",
            attack.names.join("` or `")
        )));
    }
    let target = Target {
        config: HostConfig { compiler: Some(Compiler::this_program()), ..HostConfig::default() },
        templates: parts.templates.clone(),
        ceiling: parts.config.policy.ceiling.clone(),
        fuel_max: None,
    };
    let range =
        Range::new(target).await.map_err(|problem| anyhow::anyhow!("the range could not be made: {problem}"))?;
    let mut verdicts = Vec::with_capacity(cases.len());
    for case in &cases {
        let verdict = range.run(case).await;
        if attack.output.format == Format::Text {
            print(&verdict);
        }
        verdicts.push(verdict);
    }
    let failed = verdicts.iter().filter(|verdict| !verdict.ok).count();
    match attack.output.format {
        Format::Json => print_json(&json!({ "attacks": verdicts, "notOk": failed }))?,
        Format::Text if failed == 0 => outln!("{} attacks, all ok: this host stood", verdicts.len()),
        Format::Text => outln!("{failed} of {} attacks are NOT OK", verdicts.len()),
    }
    Ok(if failed == 0 { DONE } else { FAILED })
}

fn print(verdict: &Verdict) {
    let Verdict { name, tried, ended, ok, problems } = verdict;
    outln!("{:<6} {name}: {tried}: {ended}", if *ok { "ok" } else { "NOT OK" });
    for problem in problems {
        outln!("       {problem}");
    }
}
