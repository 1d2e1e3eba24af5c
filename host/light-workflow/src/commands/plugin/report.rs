//! `plugin report`: every plugin and every task, and what they can reach.

use workflow::review::Report;

use super::facts::Gathered;
use crate::cli::{PluginReport, ReportFormat};
use crate::commands::check::definitions_in;
use crate::commands::{Context, print_json};
use crate::output::{DONE, FAILED, Failure, outln, plain};

pub async fn run(context: &Context, report: PluginReport) -> Result<u8, Failure> {
    let parts = context.parts()?;
    let mut files = Vec::new();
    for path in &report.paths {
        files.extend(definitions_in(path)?);
    }
    if files.is_empty() {
        return Err(Failure::used_wrongly("found no `.yaml` or `.yml` in what was named"));
    }
    let gathered = Gathered::read(&parts, &files)?.with_usage(&context.data).await?;
    let made = gathered.report(&parts);
    print(&made, report.format)?;
    Ok(if made.has_errors() { FAILED } else { DONE })
}

/// A report in the form that was asked for.
pub fn print(report: &Report, format: ReportFormat) -> Result<(), Failure> {
    match format {
        ReportFormat::Table => outln!("{}", plain(report.table().trim_end())),
        ReportFormat::Markdown => outln!("{}", plain(report.markdown().trim_end())),
        ReportFormat::Json => print_json(report)?,
        ReportFormat::Sarif => print_json(&report.sarif())?,
    }
    Ok(())
}
