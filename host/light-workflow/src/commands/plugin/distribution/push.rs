//! `plugin push`: a component, its `plugin.toml` and its signatures go to a registry.

use calls::registry::Registry;
use serde_json::json;
use workflow::distribution::{Distribution, Signature, pack_signatures};

use super::{Local, Signed, keep, registry, signatures_tag, signing_key};
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

/// How often a push looks again because another one came between.
const ROUNDS_MAX: usize = 5;

/// The config of signatures lists their digests.
const CONFIG_BYTES_MAX: u64 = 64 << 10;

/// Leaves ours beside those that are there already.
///
/// A registry has no way to say “only if nobody came between”. So the tag is
/// read again before it is written and after, and ours are added anew if
/// somebody else's push took them away.
async fn push_signatures(registry: &mut Registry, distribution: &mut Distribution) -> Result<(), Failure> {
    if distribution.signatures.is_empty() {
        return Ok(());
    }
    let tag = signatures_tag(distribution);
    for round in 0..ROUNDS_MAX {
        let there = registry.find_manifest(&tag).await?;
        let signed = match &there {
            Some(manifest) => Some(
                Signed::read(registry, manifest)
                    .await
                    .map_err(|failure| Failure::failed(format!("`{tag}` is there and is not replaced: {failure}")))?,
            ),
            None => None,
        };
        let known = signed.as_ref().map_or(&[][..], |signed| &signed.signatures);
        let missing: Vec<Signature> =
            distribution.signatures.iter().filter(|ours| !known.contains(ours)).cloned().collect();
        if missing.is_empty() {
            distribution.signatures = known.to_vec();
            return Ok(());
        }
        if let Some(signed) = signed.as_ref().filter(|_| round == 0) {
            signed.tell();
        }
        let packed = match &signed {
            Some(signed) => {
                let config = match signed.kept.config() {
                    // One that cannot be had stays what it is.
                    Some(config) => registry.blob(&config, CONFIG_BYTES_MAX).await.ok(),
                    None => None,
                };
                signed.kept.with(&missing, config.as_deref())
            }
            None => pack_signatures(&missing),
        };
        let packed = packed.map_err(|error| Failure::failed(format!("`{tag}`: {error}")))?;
        for signature in &missing {
            registry.push_blob(signature.payload.clone().into_bytes()).await?;
        }
        if !packed.config.is_empty() {
            registry.push_blob(packed.config).await?;
        }
        if registry.find_manifest(&tag).await? == there {
            registry.push_manifest(&tag, &packed.manifest).await?;
        }
    }
    Err(Failure::failed(format!("others write `{tag}` at the same time; the plugin is there, push again to sign it")))
}
