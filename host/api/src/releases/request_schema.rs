//! The schema of a release request. The type itself is `workflow`'s, which
//! knows no OpenAPI; a test holds the two together.
#![allow(dead_code, reason = "only the schemas of these types are used")]

use utoipa::ToSchema;

/// Explicit enough to reproduce the run.
#[derive(ToSchema)]
#[schema(as = ReleaseRequest, rename_all = "camelCase")]
pub(crate) struct ReleaseRequestSchema {
    /// Unique among the releases that have not ended.
    #[schema(example = "2026.06.0", max_length = 126)]
    release_id: String,
    release_type: ReleaseTypeSchema,
    runtime_families: Vec<RuntimeFamilySchema>,
    #[schema(min_items = 1)]
    repos: Vec<RepositorySchema>,
    config_profile_manifest: Option<ConfigProfileManifestSchema>,
    portal_targets: Option<Vec<PortalTargetSchema>>,
    publish_policy: PublishPolicySchema,
    cargo_registry: Option<CargoRegistrySchema>,
}

#[derive(ToSchema)]
#[schema(as = ReleaseType, rename_all = "kebab-case")]
enum ReleaseTypeSchema {
    JavaTrain,
    RustProducts,
}

#[derive(ToSchema)]
#[schema(as = RuntimeFamily, rename_all = "lowercase")]
enum RuntimeFamilySchema {
    Java,
    Rust,
}

#[derive(ToSchema)]
#[schema(as = Repository)]
struct RepositorySchema {
    #[schema(example = "light-4j")]
    name: String,
    #[schema(example = "https://github.com/networknt/light-4j.git")]
    url: String,
    /// Branch, tag or commit to release from.
    #[schema(example = "master")]
    r#ref: String,
    #[schema(example = "2.3.5")]
    version: String,
}

#[derive(ToSchema)]
#[schema(as = ConfigProfileManifest)]
struct ConfigProfileManifestSchema {
    repo: String,
    r#ref: String,
    paths: Vec<String>,
}

#[derive(ToSchema)]
#[schema(as = PortalTarget, rename_all = "camelCase")]
struct PortalTargetSchema {
    name: String,
    host_id: String,
    dry_run_required: bool,
}

#[derive(ToSchema)]
#[schema(as = PublishPolicy, rename_all = "camelCase")]
struct PublishPolicySchema {
    require_human_approval: bool,
    allow_ai_patch: bool,
    max_repair_attempts: u32,
}

/// Where crates are published.
#[derive(ToSchema)]
#[schema(as = CargoRegistry)]
struct CargoRegistrySchema {
    /// As `cargo --registry` has it.
    name: String,
    #[schema(example = "sparse+https://crates.example.org/index/")]
    index: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};
    use utoipa::PartialSchema;
    use workflow::request::ReleaseRequest;

    use super::*;

    /// A request in which everything is there.
    fn full() -> Value {
        json!({
            "releaseId": "2026.06.0", "releaseType": "java-train", "runtimeFamilies": ["java", "rust"],
            "repos": [{ "name": "a", "url": "https://example.org/a.git", "ref": "main", "version": "1.0.0" }],
            "configProfileManifest": { "repo": "https://example.org/m.git", "ref": "main", "paths": ["a.json"] },
            "portalTargets": [{ "name": "dev", "hostId": "h", "dryRunRequired": true }],
            "publishPolicy": { "requireHumanApproval": true, "allowAiPatch": true, "maxRepairAttempts": 2 },
            "cargoRegistry": { "name": "local", "index": "sparse+http://localhost/index/" },
        })
    }

    fn fields<T: PartialSchema>() -> BTreeSet<String> {
        let schema = serde_json::to_value(T::schema()).unwrap();
        schema["properties"].as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn the_schema_has_the_fields_that_a_release_request_has() {
        let request: ReleaseRequest = serde_json::from_value(full()).unwrap();
        let written = serde_json::to_value(&request).unwrap();
        let keys = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
        let pairs = [
            (keys(&written), fields::<ReleaseRequestSchema>()),
            (keys(&written["repos"][0]), fields::<RepositorySchema>()),
            (keys(&written["configProfileManifest"]), fields::<ConfigProfileManifestSchema>()),
            (keys(&written["portalTargets"][0]), fields::<PortalTargetSchema>()),
            (keys(&written["publishPolicy"]), fields::<PublishPolicySchema>()),
            (keys(&written["cargoRegistry"]), fields::<CargoRegistrySchema>()),
        ];
        for (written, described) in pairs {
            assert_eq!(written, described);
        }
    }

    #[test]
    fn every_value_that_the_schema_lists_is_accepted() {
        let values = |schema: Value| schema["enum"].as_array().unwrap().clone();
        for value in values(serde_json::to_value(ReleaseTypeSchema::schema()).unwrap()) {
            serde_json::from_value::<workflow::request::ReleaseType>(value).unwrap();
        }
        for value in values(serde_json::to_value(RuntimeFamilySchema::schema()).unwrap()) {
            serde_json::from_value::<workflow::request::RuntimeFamily>(value).unwrap();
        }
    }
}
