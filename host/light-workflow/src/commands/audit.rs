//! `audit`: export the log, and find whatever was done to it.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};

use store::Store;
use store::audit::{self, Verified};

use super::Context;
use crate::cli::{Audit, AuditExport, AuditVerify};
use crate::output::{DONE, FAILED, Failure};

pub async fn run(context: &Context, audit: Audit) -> Result<u8, Failure> {
    match audit {
        Audit::Export(export_) => export(context, export_).await,
        Audit::Verify(verify_) => verify(context, verify_).await,
    }
}

/// Leaves read from the store at a time.
const PAGE: u32 = 1000;

async fn export(context: &Context, export: AuditExport) -> Result<u8, Failure> {
    let host = context.existing_host().await?;
    let mut out: Box<dyn Write> = match &export.output {
        Some(path) => Box::new(BufWriter::new(File::create(path)?)),
        None => Box::new(BufWriter::new(std::io::stdout())),
    };
    write(host.shared_store().as_ref(), &mut out).await?;
    out.flush()?;
    Ok(DONE)
}

async fn write(store: &dyn Store, out: &mut dyn Write) -> Result<(), Failure> {
    let checkpoint = store.checkpoint().await?;
    let size = checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size);
    audit::write_header(out, checkpoint.as_ref())?;
    let mut from = 0;
    while from < size {
        // The log may grow while it is written: the checkpoint says where it ends.
        let limit = u32::try_from(size - from).unwrap_or(PAGE).min(PAGE);
        let leaves = store.audit(from, limit).await?;
        if leaves.is_empty() {
            break;
        }
        from += leaves.len() as u64;
        for leaf in &leaves {
            audit::write_leaf(out, leaf)?;
        }
    }
    Ok(())
}

async fn verify(context: &Context, verify: AuditVerify) -> Result<u8, Failure> {
    let (verified, key_source) = match &verify.file {
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Failure::used_wrongly(format!("failed to open the export `{}`: {error}", path.display())))?;
            (audit::verify_export(BufReader::new(file), verify.key.as_deref()), path.display().to_string())
        }
        None => {
            let host = context.existing_host().await?;
            let mut text = Vec::new();
            write(host.shared_store().as_ref(), &mut text).await?;
            (audit::verify_export(text.as_slice(), verify.key.as_deref()), context.data.display().to_string())
        }
    };
    match verified {
        Ok(Verified { leaves, key, .. }) => {
            println!("{key_source}: {leaves} events, all in place; signed by {}", key.as_deref().unwrap_or("nobody"));
            if verify.key.is_none() {
                println!("compare the key with the one you trust, or name it with --key");
            }
            Ok(DONE)
        }
        Err(problem) => {
            eprintln!("error: {key_source}: {problem}");
            Ok(FAILED)
        }
    }
}
