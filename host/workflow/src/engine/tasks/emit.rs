//! `emit`: a CloudEvent.

use serde_json::{Map, Value};

use crate::cloud_event::CloudEvent;
use crate::effect::{Fault, StandardError};
use crate::engine::data_flow::Running;
use crate::event::Event;
use crate::expression::Template;
use crate::ids::{Digest, Timestamp};

/// The event is the task's output; what the definition leaves out is filled in.
pub fn emit(running: Running<'_>, template: &Template, now: Timestamp) -> Result<Event, Fault> {
    let input = running.input()?;
    let given = match template.evaluate(&input, &running.scope(&input))? {
        Value::Object(given) => given,
        other => return Err(StandardError::Configuration.fault(format!("{other} is no event"))),
    };
    let definition = running.instance.definition();
    let mut event = Map::new();
    event.insert("id".to_owned(), id(running).into());
    event.insert("specversion".to_owned(), "1.0".into());
    event.insert("time".to_owned(), now.to_string().into());
    let source = format!("/{}/{}/{}", definition.namespace, definition.name, definition.version);
    event.insert("source".to_owned(), source.into());
    event.extend(given);
    if !event.get("type").is_some_and(Value::is_string) {
        return Err(StandardError::Configuration.fault("an event needs a `type`"));
    }
    let event = CloudEvent::new(Value::Object(event)).map_err(|error| {
        let detail = format!("what is emitted is no event: {error}");
        StandardError::Configuration.fault(detail)
    })?;
    Ok(Event::EventEmitted { path: running.path.clone(), event })
}

/// The same for the same run of the same task on every host, and no other.
fn id(running: Running<'_>) -> String {
    let attempt = running.instance.last_attempt(running.path);
    let seed = format!("{}\n{}\n{attempt}", running.instance.id(), running.path);
    Digest::of(seed.as_bytes()).hex()[..32].to_owned()
}
