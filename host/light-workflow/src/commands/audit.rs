//! `audit`: export the log, and find whatever was done to it.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};

use store::audit::{self, Export, ExportError, Verified};

use super::Context;
use crate::cli::{Audit, AuditExport, AuditVerify};
use crate::output::{DONE, FAILED, Failure, errln, outln};

pub async fn run(context: &Context, audit: Audit) -> Result<u8, Failure> {
    match audit {
        Audit::Export(export_) => export(context, export_).await,
        Audit::Verify(verify_) => verify(context, verify_).await,
    }
}

async fn export(context: &Context, export: AuditExport) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let mut out: Box<dyn Write + Send> = match &export.output {
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    audit::export(host.shared_store().as_ref(), out.as_mut()).await?;
    Ok(DONE)
}

async fn verify(context: &Context, verify: AuditVerify) -> Result<u8, Failure> {
    let key = verify.key.as_deref();
    let (verified, what) = match &verify.file {
        Some(path) => {
            let file = File::open(path).map_err(|error| {
                Failure::used_wrongly(format!("failed to open the export `{}`: {error}", path.display()))
            })?;
            (verify_export(BufReader::new(file), key), path.display().to_string())
        }
        None => {
            let host = context.existing_host().await?;
            let mut text = Vec::new();
            audit::export(host.shared_store().as_ref(), &mut text).await?;
            (verify_export(text.as_slice(), key), context.data.display().to_string())
        }
    };
    match verified {
        Ok(verified) => {
            let signed_by = verified.signed_by.as_deref().unwrap_or("nobody");
            outln!("{what}: {} events, all in place; signed by {signed_by}", verified.leaves);
            if key.is_none() {
                outln!("compare the key with the one you trust, or name it with --key");
            }
            Ok(DONE)
        }
        Err(problem) => {
            errln!("error: {what}: {problem}");
            Ok(FAILED)
        }
    }
}

fn verify_export(reader: impl BufRead, key: Option<&str>) -> Result<Verified, ExportError> {
    Export::read(reader)?.verify(key)
}
