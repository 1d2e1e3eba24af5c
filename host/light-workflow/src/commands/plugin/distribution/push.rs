//! `plugin push`: a component, its `plugin.toml` and its signatures go to a registry.

use calls::registry::Registry;
use serde_json::json;
use workflow::distribution::{Distribution, Signature, pack_signatures};

use super::{Local, keep, registry, signatures, signatures_tag, signing_key};
use crate::cli::{Format, PluginPush};
use crate::commands::print_json;
use crate::host::Parts;
use crate::output::{DONE, Failure, errln, outln};

pub async fn run(parts: &Parts, push: &PluginPush) -> Result<u8, Failure> {
    let reference = &push.reference;
    if reference.digest.is_some() {
        return Err(Failure::used_wrongly(format!(
            "`{reference}` names a digest, which follows from what is pushed; name a tag, or nothing for `latest`"
        )));
    }
    let key = push.key.as_deref().map(signing_key).transpose()?;
    let local = Local::find(parts, &push.plugin)?;
    let packed = local.packed();
    let kept = local.distribution()?.filter(|kept| kept.manifest == packed.manifest);
    let kept = kept.map(|kept| kept.signatures).unwrap_or_default();
    let mut distribution = Distribution { source: None, manifest: packed.manifest, signatures: kept };
    let digest = distribution.digest();
    let pinned = reference.pinned(digest.clone());
    let own = key.map(|key| Signature::new(&key, Some(reference), &digest));
    distribution.signatures.extend(own.filter(|own| !distribution.signatures.contains(own)));

    let mut registry = registry(parts, reference)?;
    registry.push_blob(packed.config).await?;
    registry.push_blob(local.bytes.clone()).await?;
    registry.push_manifest(reference.wanted(), &distribution.manifest).await?;
    // Before it is said that they are there.
    registry.manifest(digest.as_str()).await?;
    push_signatures(&mut registry, &mut distribution).await?;
    distribution.source = Some(pinned.clone());
    // The registry has it; that this folder does not know so is worth a word and no more.
    if let Err(failure) = keep(&local.component, &distribution) {
        errln!("warning: {failure}");
    }
    match push.output.format {
        Format::Json => print_json(&json!({
            "plugin": local.manifest.name, "reference": pinned, "manifest": digest,
            "component": local.inspection.digest, "signatures": distribution.signatures.len(),
        }))?,
        Format::Text => {
            outln!("pushed     {}:{}", reference.name(), reference.wanted());
            outln!("reference  {pinned}");
            outln!("component  {}", local.inspection.digest);
            outln!("signatures {}", distribution.signatures.len());
        }
    }
    Ok(DONE)
}

/// Leaves ours beside those that are there already.
async fn push_signatures(registry: &mut Registry, distribution: &mut Distribution) -> Result<(), Failure> {
    if distribution.signatures.is_empty() {
        return Ok(());
    }
    let mut all = signatures(registry, distribution).await?;
    let there = all.len();
    all.extend(distribution.signatures.iter().filter(|ours| !all.contains(ours)).cloned().collect::<Vec<_>>());
    distribution.signatures = all;
    if distribution.signatures.len() == there {
        return Ok(());
    }
    for signature in &distribution.signatures {
        registry.push_blob(signature.payload.clone().into_bytes()).await?;
    }
    let packed = pack_signatures(&distribution.signatures);
    registry.push_blob(packed.config).await?;
    registry.push_manifest(&signatures_tag(distribution), &packed.manifest).await?;
    Ok(())
}
