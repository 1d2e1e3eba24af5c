//! What the endpoints share: checked parts of a request, ranges, stored bytes as a response.

mod body;
mod extract;
mod range;
mod stored;

pub(crate) use body::{JsonBody, JsonText};
pub(crate) use extract::{Caller, PathParam, QueryParams, accepts_event_stream, single_header};
pub(crate) use stored::{Content, Part, attachment};
