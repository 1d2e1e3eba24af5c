//! `doctor`: what this machine can enforce, what it lacks, how to get it.

use super::{Context, print_json};
use crate::cli::{Format, Output};
use crate::host::Parts;
use crate::output::{DONE, Failure, HOST_FAILED, outln};

pub fn run(context: &Context, output: Output) -> Result<u8, Failure> {
    let mut findings = sandbox::local::doctor();
    findings.push(address_space());
    findings.extend(components(&context.parts()?));
    match output.format {
        Format::Json => print_json(&findings)?,
        Format::Text => {
            for finding in &findings {
                let mark = if finding.ok { "ok     " } else { "MISSING" };
                outln!("{mark} {:<28} {}", finding.name, finding.detail);
                if let Some(remedy) = finding.remedy.as_ref().filter(|_| !finding.ok) {
                    outln!("        → {remedy}");
                }
            }
        }
    }
    Ok(if findings.iter().all(|finding| finding.ok) { DONE } else { HOST_FAILED })
}

/// Room for the instances of plugins.
fn address_space() -> sandbox::local::Finding {
    let (ok, detail, remedy) = match plugin_host::instances_here() {
        Ok(instances) => (true, format!("instances of plugins at a time: {instances}"), None),
        Err(error) => (false, error.to_string(), Some("ulimit -v unlimited".to_owned())),
    };
    sandbox::local::Finding { name: "address space".to_owned(), ok, detail, remedy }
}

/// Approved plugins whose component is here, byte for byte.
fn components(parts: &Parts) -> Vec<sandbox::local::Finding> {
    let catalog = parts.catalog();
    let findings = catalog.installed().iter().map(|(name, installed)| {
        let (ok, detail) = match std::fs::read(&installed.path) {
            Ok(bytes) if workflow::Digest::of(&bytes) == installed.digest => (true, installed.digest.to_string()),
            Ok(_) => (false, format!("`{}` is not what plugins.lock approves", installed.path.display())),
            Err(error) => (false, format!("`{}`: {error}", installed.path.display())),
        };
        let remedy = Some("build it with `cargo xtask plugins`, then have it reviewed".to_owned());
        sandbox::local::Finding { name: format!("plugin {name}"), ok, detail, remedy }
    });
    findings.collect()
}
