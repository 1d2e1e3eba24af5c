//! `use`: what tasks refer to by name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::authentication::Authentication;
use super::super::model::{Raise, Retry};
use super::expand::{ExtensionSource, FunctionSource};
use super::{authentication, expand, flow, values};
use crate::ids::SecretName;
use crate::located::{Field, Slot};

/// An entry is `None` when it could not be read: who refers to it is not wrong.
#[derive(Debug, Default)]
pub struct Uses<'a> {
    pub authentications: BTreeMap<String, Option<Authentication>>,
    pub errors: BTreeMap<String, Option<Raise>>,
    pub retries: BTreeMap<String, Option<Retry>>,
    pub timeouts: BTreeMap<String, Option<Duration>>,
    /// None: the definition does not list its secrets.
    pub secrets: Option<BTreeSet<SecretName>>,
    /// Read again at each call, with the place of that.
    pub functions: BTreeMap<&'a str, FunctionSource<'a>>,
    /// Read again at each task that one extends, in their order.
    pub extensions: Vec<ExtensionSource<'a>>,
}

pub fn uses<'a>(field: &Field<'a>) -> Uses<'a> {
    let slots = field.fields_refusing(
        ["authentications", "errors", "retries", "timeouts", "secrets", "functions", "extensions"],
        &["catalogs"],
    );
    let Some([authentications, errors, retries, timeouts, secrets, functions, extensions]) = slots else {
        return Uses::default();
    };
    let secrets: Option<BTreeSet<SecretName>> =
        secrets.given().and_then(|field| Some(field.each(Field::name::<SecretName>)?.into_iter().collect()));
    Uses {
        authentications: entries(&authentications, |field| authentication::policy(field, secrets.as_ref())),
        errors: entries(&errors, flow::error),
        retries: entries(&retries, flow::retry_policy),
        timeouts: entries(&timeouts, |field| values::timeout(field, &BTreeMap::new())),
        secrets,
        functions: functions.given().map(|field| expand::function_sources(&field)).unwrap_or_default(),
        extensions: extensions.given().map(|field| expand::extension_sources(&field)).unwrap_or_default(),
    }
}

fn entries<T>(slot: &Slot, read: impl Fn(&Field) -> Option<T>) -> BTreeMap<String, Option<T>> {
    slot.given().and_then(|field| field.each_entry(|_, value| Some(read(value)))).unwrap_or_default()
}
