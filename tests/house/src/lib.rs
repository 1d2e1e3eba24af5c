//! Tests of the whole house are below `tests/`.
