//! How a call ended: `grpc-status` after the answer, or instead of it.

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use workflow::effect::{EffectClass, StandardError};

use crate::content;
use crate::exchange::Answer;
use crate::session::{Failure, Session, communication};

/// Number, name, error and status. A status that HTTP has too is that one's.
const STATUSES: [(u32, &str, StandardError, u16); 16] = [
    (1, "CANCELLED", StandardError::Communication, 499),
    (2, "UNKNOWN", StandardError::Communication, 500),
    (3, "INVALID_ARGUMENT", StandardError::Communication, 400),
    (4, "DEADLINE_EXCEEDED", StandardError::Timeout, 408),
    (5, "NOT_FOUND", StandardError::Communication, 404),
    (6, "ALREADY_EXISTS", StandardError::Communication, 409),
    (7, "PERMISSION_DENIED", StandardError::Authorization, 403),
    (8, "RESOURCE_EXHAUSTED", StandardError::Communication, 429),
    (9, "FAILED_PRECONDITION", StandardError::Communication, 400),
    (10, "ABORTED", StandardError::Communication, 409),
    (11, "OUT_OF_RANGE", StandardError::Communication, 400),
    (12, "UNIMPLEMENTED", StandardError::Communication, 501),
    (13, "INTERNAL", StandardError::Communication, 500),
    (14, "UNAVAILABLE", StandardError::Communication, 503),
    (15, "DATA_LOSS", StandardError::Communication, 500),
    (16, "UNAUTHENTICATED", StandardError::Authentication, 401),
];

/// These may come from a proxy, or from a service that had done its work.
const UNCERTAIN: [u32; 4] = [1, 2, 4, 14];

/// # Errors
///
/// What the other side says went wrong; or that it says nothing, or nothing
/// certain, and then nobody knows whether a request of this class happened.
pub fn check(session: &Session<'_>, path: &str, class: EffectClass, answer: &Answer) -> Result<(), Failure> {
    let is_grpc =
        answer.headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(super::GRPC.as_bytes()));
    if answer.status != StatusCode::OK || !is_grpc {
        let status = answer.status.as_u16();
        let said = content::excerpt(&answer.body);
        return Err(communication(format!("{path} answered {status}, and not in gRPC: {said}")));
    }
    let found = [&answer.trailers, &answer.headers].into_iter().find_map(|headers| Some((number(headers)?, headers)));
    let Some((number, headers)) = found else {
        return Err(session.lost(class, format!("{path} ended its answer without a status")));
    };
    if number == 0 {
        return Ok(());
    }
    let known = STATUSES.into_iter().find(|known| known.0 == number);
    // A number that nobody knows is UNKNOWN.
    let is_certain = known.is_some() && !UNCERTAIN.contains(&number);
    let unknown = (number, "an unknown status", StandardError::Communication, 500);
    let (_, name, error, status) = known.unwrap_or(unknown);
    let message = headers.get("grpc-message").map(|value| percent_decoded(value.as_bytes())).unwrap_or_default();
    let detail = format!("{path} answered {name} ({number}): {message}");
    if !is_certain && matches!(class, EffectClass::Reconcilable | EffectClass::Manual) {
        return Err(session.lost(class, detail));
    }
    let mut fault = error.fault(detail);
    fault.status = status;
    fault.title = Some(name.to_owned());
    Err(fault.into())
}

fn number(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn percent_decoded(text: &[u8]) -> String {
    let hex = |digit: u8| char::from(digit).to_digit(16);
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, behind)) = rest.split_first() {
        let escaped = match behind {
            [high, low, ..] if *first == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = &behind[2..];
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn messages_of_a_status_are_percent_decoded_and_never_fail() {
        for (text, expected) in [
            ("no such pet", "no such pet"),
            ("100%25 gr%C3%BCn", "100% grün"),
            ("%", "%"),
            ("%4", "%4"),
            ("%zz", "%zz"),
        ] {
            assert_eq!(percent_decoded(text.as_bytes()), expected, "{text}");
        }
    }
}
