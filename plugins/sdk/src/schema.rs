//! JSON schemas out of types.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// A field with a default may be left out of what is read and is always in what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Read,
    Written,
}

/// The JSON schema (2020-12) of `T` as a step takes or returns it.
pub fn schema_of<T: JsonSchema + ?Sized>(side: Side) -> Value {
    let settings = SchemaSettings::draft2020_12();
    let settings = match side {
        Side::Read => settings.for_deserialize(),
        Side::Written => settings.for_serialize(),
    };
    settings.into_generator().into_root_schema_for::<T>().to_value()
}
