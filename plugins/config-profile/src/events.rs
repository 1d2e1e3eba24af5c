//! Import events that the generator made for one portal, before they are attached
//! to a release or imported: they are of that portal, and do no more than the
//! request asked for.

use std::collections::{BTreeMap, BTreeSet};

use light_workflow_sdk::{Level, PureHost, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::check::is_uuid;
use crate::{Findings, Portal, hold};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Events {
    portal: Portal,
    /// The generated file: a JSON array of CloudEvents.
    text: String,
    /// A person approved the deletions that the dry run named.
    #[serde(default)]
    deletions_approved: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
pub struct Checked {
    ok: bool,
    events: usize,
    /// Type to how many there are.
    types: BTreeMap<String, usize>,
}

/// What the generator may make, with the aggregate of each.
const TYPES: [(&str, &str); 11] = [
    ("ConfigProfileCreatedEvent", "ConfigProfile"),
    ("ConfigProfileDeletedEvent", "ConfigProfile"),
    ("ConfigProfileConfigCreatedEvent", "ConfigProfileConfig"),
    ("ConfigProfileConfigDeletedEvent", "ConfigProfileConfig"),
    ("ConfigProfilePropertyCreatedEvent", "ConfigProfileProperty"),
    ("ConfigProfilePropertyDeletedEvent", "ConfigProfileProperty"),
    ("ProductVersionConfigProfileLinkedEvent", "ProductVersionConfigProfile"),
    ("ProductVersionConfigProfileUnlinkedEvent", "ProductVersionConfigProfile"),
    ("ProductVersionConfigCreatedEvent", "ProductVersionConfig"),
    ("ProductVersionConfigPropertyCreatedEvent", "ProductVersionConfigProperty"),
    ("ProductVersionCreatedEvent", "ProductVersion"),
];

impl Events {
    pub fn execute(&self, host: &mut impl PureHost) -> Result<Checked, StepError> {
        let mut findings = Findings::of(&self.portal.name);
        let mut types = BTreeMap::new();
        let read = step_kit::json::parse(&self.text).and_then(serde_json::from_value::<Vec<Map<String, Value>>>);
        let events = read.unwrap_or_else(|error| {
            findings.add("", format!("the events are no JSON array of objects: {error}"));
            Vec::new()
        });
        let mut ids = BTreeSet::new();
        for (at, event) in events.iter().enumerate() {
            let place = format!("/{at}");
            if let Some(id) = self.check(&mut findings, &place, event).filter(|id| !ids.insert(*id)) {
                findings.add(format!("{place}/id"), format!("`{id}` is there twice"));
            }
            *types.entry(text(event, "type").unwrap_or("?").to_owned()).or_insert(0) += 1;
        }
        hold(host, "the import events are not in order", &findings.all)?;
        host.log(Level::Info, &format!("{} import events for {} are in order", events.len(), self.portal.name));
        Ok(Checked { ok: true, events: events.len(), types })
    }

    /// The event's id, if it has one.
    fn check<'a>(&self, findings: &mut Findings<'_>, place: &str, event: &'a Map<String, Value>) -> Option<&'a str> {
        for field in ["id", "source", "subject", "time", "user", "nonce"] {
            if text(event, field).is_none_or(str::is_empty) {
                findings.add(format!("{place}/{field}"), "is missing, or no text");
            }
        }
        if text(event, "specversion") != Some("1.0") {
            findings.add(format!("{place}/specversion"), "is not `1.0`");
        }
        let id = text(event, "id");
        if id.is_some_and(|id| !is_uuid(id)) {
            findings.add(format!("{place}/id"), "is no UUID");
        }
        self.kind(findings, place, event);
        let data = event.get("data").and_then(Value::as_object);
        if data.is_none() {
            findings.add(format!("{place}/data"), "is missing, or no object");
        }
        let of_data = data.and_then(|data| data.get("hostId"));
        for (field, host) in [("host", event.get("host")), ("data/hostId", of_data)] {
            match host.map(Value::as_str) {
                Some(Some(host)) if host == self.portal.host_id => {}
                // Profiles are no tenant's; their events name a host in the envelope alone.
                None if field == "data/hostId" => {}
                Some(_) | None => findings.add(format!("{place}/{field}"), "is not the portal's host"),
            }
        }
        id
    }

    fn kind(&self, findings: &mut Findings<'_>, place: &str, event: &Map<String, Value>) {
        let kind = text(event, "type").unwrap_or_default();
        let Some((_, aggregate)) = TYPES.iter().find(|(known, _)| *known == kind) else {
            return findings.add(format!("{place}/type"), format!("`{kind}` is not of a config profile"));
        };
        if text(event, "aggregatetype") != Some(aggregate) {
            findings.add(format!("{place}/aggregatetype"), format!("of `{kind}` must be `{aggregate}`"));
        }
        let deletes = kind.ends_with("DeletedEvent") || kind.ends_with("UnlinkedEvent");
        if deletes && !self.deletions_approved {
            findings.add(format!("{place}/type"), format!("`{kind}` deletes, and nobody approved that"));
        }
    }
}

fn text<'a>(event: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    event.get(field).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use light_workflow_sdk::Script;
    use serde_json::json;

    use super::*;
    use crate::ConfigProfile;

    const HOST: &str = "01964b05-552a-7c4b-9184-6857e7f3dc5f";

    fn linked() -> Value {
        json!({
            "id": "01964b05-552a-7c4b-9184-000000000001", "specversion": "1.0",
            "type": "ProductVersionConfigProfileLinkedEvent", "source": "https://github.com/lightapi/light-portal",
            "subject": "s", "time": "2026-06-07T18:10:00Z", "datacontenttype": "application/json", "host": HOST,
            "user": "u", "nonce": "1", "aggregatetype": "ProductVersionConfigProfile", "aggregateversion": 1,
            "data": { "hostId": HOST, "productId": "lg", "aggregateVersion": 0, "newAggregateVersion": 1 },
        })
    }

    fn check(events: &Value, deletions_approved: bool) -> Result<Value, StepError> {
        Script::new().execute::<ConfigProfile>(json!({
            "operation": "events", "portal": { "name": "dev", "hostId": HOST },
            "text": events.to_string(), "deletionsApproved": deletions_approved,
        }))
    }

    #[test]
    fn events_of_the_portal_are_counted_by_type() {
        let output = check(&json!([linked()]), false);
        assert_eq!(
            output,
            Ok(json!({ "ok": true, "events": 1, "types": { "ProductVersionConfigProfileLinkedEvent": 1 } }))
        );
    }

    #[test]
    fn an_event_of_another_tenant_type_or_form_is_refused() {
        for (pointer, value, expected) in [
            ("/host", json!("another"), "dev /0/host: is not the portal's host"),
            ("/data/hostId", json!("another"), "dev /0/data/hostId: is not the portal's host"),
            ("/type", json!("UserCreatedEvent"), "`UserCreatedEvent` is not of a config profile"),
            ("/aggregatetype", json!("ConfigProfile"), "must be `ProductVersionConfigProfile`"),
            ("/specversion", json!("0.3"), "/0/specversion: is not `1.0`"),
            ("/id", json!("1"), "/0/id: is no UUID"),
            ("/nonce", json!(1), "/0/nonce: is missing, or no text"),
            ("/data", Value::Null, "/0/data: is missing, or no object"),
        ] {
            let mut event = linked();
            *event.pointer_mut(pointer).unwrap() = value;
            let result = check(&json!([event]), true);
            let Err(StepError::NeedsHuman(text)) = &result else { panic!("not refused: {result:?}") };
            assert!(text.contains(expected), "{expected} is not in {text}");
        }
        let twice = json!([linked()]).to_string().replacen(r#""host":"#, r#""host":"another","host":"#, 1);
        let events = json!({ "operation": "events", "portal": { "name": "dev", "hostId": HOST }, "text": twice });
        let Err(StepError::NeedsHuman(text)) = Script::new().execute::<ConfigProfile>(events) else { panic!() };
        assert!(text.contains("the key `host` is there twice"), "{text}");
        let Err(StepError::NeedsHuman(text)) = check(&json!([linked(), linked()]), false) else { panic!() };
        assert!(text.contains("/1/id: `01964b05-552a-7c4b-9184-000000000001` is there twice"), "{text}");
    }

    #[test]
    fn an_event_that_deletes_needs_the_approval_of_the_deletions() {
        let mut event = linked();
        event["type"] = json!("ProductVersionConfigProfileUnlinkedEvent");
        assert!(check(&json!([event]), true).is_ok());
        let Err(StepError::NeedsHuman(text)) = check(&json!([event]), false) else { panic!() };
        assert!(text.contains("deletes, and nobody approved that"), "{text}");
    }
}
