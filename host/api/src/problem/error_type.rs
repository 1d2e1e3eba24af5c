//! The kinds of errors: each has a stable name and a page in `docs/errors/`.

use axum::http::StatusCode;

/// A kind of error of the API. Its slug ends the `type` of the problem details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorType {
    ArtifactNotFound,
    BodyTooLarge,
    DecidedAlready,
    EventIdReused,
    HumanTaskClosed,
    HumanTaskNotFound,
    IdempotencyKeyMissing,
    IdempotencyKeyReused,
    Internal,
    InvalidHeader,
    InvalidPath,
    InvalidQuery,
    InvalidRequest,
    MalformedJson,
    NotAnOption,
    RangeNotSatisfiable,
    ReleaseEnded,
    ReleaseNotFound,
    ReleaseRunning,
    ReleaseUnavailable,
    RequestNotTaken,
    SlowRequest,
    StaleDecision,
    StoreUnavailable,
    TaskNotFound,
    Unauthorized,
    UnknownPath,
    UnsupportedMediaType,
    WrongMethod,
}

impl ErrorType {
    /// Every kind, by name.
    pub const ALL: [ErrorType; 29] = [
        ErrorType::ArtifactNotFound,
        ErrorType::BodyTooLarge,
        ErrorType::DecidedAlready,
        ErrorType::EventIdReused,
        ErrorType::HumanTaskClosed,
        ErrorType::HumanTaskNotFound,
        ErrorType::IdempotencyKeyMissing,
        ErrorType::IdempotencyKeyReused,
        ErrorType::Internal,
        ErrorType::InvalidHeader,
        ErrorType::InvalidPath,
        ErrorType::InvalidQuery,
        ErrorType::InvalidRequest,
        ErrorType::MalformedJson,
        ErrorType::NotAnOption,
        ErrorType::RangeNotSatisfiable,
        ErrorType::ReleaseEnded,
        ErrorType::ReleaseNotFound,
        ErrorType::ReleaseRunning,
        ErrorType::ReleaseUnavailable,
        ErrorType::RequestNotTaken,
        ErrorType::SlowRequest,
        ErrorType::StaleDecision,
        ErrorType::StoreUnavailable,
        ErrorType::TaskNotFound,
        ErrorType::Unauthorized,
        ErrorType::UnknownPath,
        ErrorType::UnsupportedMediaType,
        ErrorType::WrongMethod,
    ];

    /// Last part of `type`, and the name of the page in `docs/errors/`.
    pub fn slug(self) -> &'static str {
        self.facts().0
    }

    pub fn status(self) -> StatusCode {
        self.facts().1
    }

    /// The same for every occurrence.
    pub fn title(self) -> &'static str {
        self.facts().2
    }

    fn facts(self) -> (&'static str, StatusCode, &'static str) {
        match self {
            ErrorType::ArtifactNotFound => ("artifact-not-found", StatusCode::NOT_FOUND, "No such artifact"),
            ErrorType::BodyTooLarge => {
                ("body-too-large", StatusCode::PAYLOAD_TOO_LARGE, "The request body is too large")
            }
            ErrorType::DecidedAlready => {
                ("decided-already", StatusCode::CONFLICT, "Somebody has decided this human task")
            }
            ErrorType::EventIdReused => {
                ("event-id-reused", StatusCode::CONFLICT, "Another event has this source and id")
            }
            ErrorType::HumanTaskClosed => ("human-task-closed", StatusCode::CONFLICT, "The human task is closed"),
            ErrorType::HumanTaskNotFound => ("human-task-not-found", StatusCode::NOT_FOUND, "No such human task"),
            ErrorType::IdempotencyKeyMissing => {
                ("idempotency-key-missing", StatusCode::BAD_REQUEST, "The request has no idempotency key")
            }
            ErrorType::IdempotencyKeyReused => {
                ("idempotency-key-reused", StatusCode::CONFLICT, "The idempotency key was used for another request")
            }
            ErrorType::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR, "An error of the host's own"),
            ErrorType::InvalidHeader => ("invalid-header", StatusCode::BAD_REQUEST, "A header is not valid"),
            ErrorType::InvalidPath => ("invalid-path", StatusCode::BAD_REQUEST, "The path is not valid"),
            ErrorType::InvalidQuery => ("invalid-query", StatusCode::BAD_REQUEST, "A query parameter is not valid"),
            ErrorType::InvalidRequest => {
                ("invalid-request", StatusCode::UNPROCESSABLE_ENTITY, "The request body is not what is expected here")
            }
            ErrorType::MalformedJson => ("malformed-json", StatusCode::BAD_REQUEST, "The request body is not JSON"),
            ErrorType::NotAnOption => {
                ("not-an-option", StatusCode::UNPROCESSABLE_ENTITY, "The decision is none of the options")
            }
            ErrorType::RangeNotSatisfiable => {
                ("range-not-satisfiable", StatusCode::RANGE_NOT_SATISFIABLE, "The range lies outside of the content")
            }
            ErrorType::ReleaseEnded => ("release-ended", StatusCode::CONFLICT, "The release has ended"),
            ErrorType::ReleaseNotFound => ("release-not-found", StatusCode::NOT_FOUND, "No such release"),
            ErrorType::ReleaseRunning => ("release-running", StatusCode::CONFLICT, "The release is running already"),
            ErrorType::ReleaseUnavailable => {
                ("release-unavailable", StatusCode::SERVICE_UNAVAILABLE, "This host cannot run such a release")
            }
            ErrorType::RequestNotTaken => {
                ("request-not-taken", StatusCode::UNPROCESSABLE_ENTITY, "The definition does not take this request")
            }
            ErrorType::SlowRequest => ("slow-request", StatusCode::REQUEST_TIMEOUT, "The request body came too slowly"),
            ErrorType::StaleDecision => {
                ("stale-decision", StatusCode::CONFLICT, "The decision is on something that is not asked now")
            }
            ErrorType::StoreUnavailable => {
                ("store-unavailable", StatusCode::SERVICE_UNAVAILABLE, "The store does not answer")
            }
            ErrorType::TaskNotFound => ("task-not-found", StatusCode::NOT_FOUND, "No such task in this release"),
            ErrorType::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED, "A valid token is needed"),
            ErrorType::UnknownPath => ("unknown-path", StatusCode::NOT_FOUND, "There is nothing at this path"),
            ErrorType::UnsupportedMediaType => {
                ("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, "The request body must be JSON")
            }
            ErrorType::WrongMethod => {
                ("wrong-method", StatusCode::METHOD_NOT_ALLOWED, "This path does not have this method")
            }
        }
    }
}
