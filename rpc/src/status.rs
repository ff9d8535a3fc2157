//! Errors on the wire: a canonical code, a message that says what, where and what to do, and `google.rpc` details.

use moiety_engine::{EngineError, ErrorKind, RecordError};
use moiety_proto::v1 as wire;
use tokio::task::JoinError;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{convert::ConvertError, limits::RETRY_DELAY};

/// Longest identifier that is repeated in an error, in characters.
const SHOWN_ID_CHARS: usize = 64;

/// The status of an engine's error.
pub(crate) fn engine_status(error: &EngineError) -> Status {
    let message = error.to_string();
    match error.kind() {
        ErrorKind::Invalid => {
            let details = ErrorDetails::with_bad_request_violation(field_of(error), &message);
            Status::with_error_details(Code::InvalidArgument, message, details)
        }
        ErrorKind::NotFound => Status::not_found(message),
        ErrorKind::AlreadyExists => Status::already_exists(message),
        ErrorKind::Refused => Status::failed_precondition(message),
        // No retry delay: it is not over in a moment.
        ErrorKind::Exhausted => Status::resource_exhausted(message),
        ErrorKind::Cancelled => match error {
            EngineError::DeadlineExceeded => deadline_exceeded(),
            _ => Status::cancelled(message),
        },
        ErrorKind::Corrupt => {
            tracing::error!(%message, "corrupt data");
            Status::data_loss(message)
        }
        ErrorKind::Internal => {
            tracing::error!(%message, "internal error");
            Status::internal(message)
        }
    }
}

/// The field of the request that an engine's error speaks of.
fn field_of(error: &EngineError) -> &str {
    match error {
        EngineError::Invalid { field, .. } => field,
        EngineError::SideMissing { .. } => "query.stored.side",
        EngineError::Structure(_) => "query.molecule",
        _ => "query",
    }
}

/// Every place is taken.
pub(crate) fn busy(places: usize) -> Status {
    try_again(&format!("{places} calls are at work, as many as it takes"), "")
}

/// Every place to write at is taken.
pub(crate) fn busy_writing(places: usize) -> Status {
    try_again(&format!("the model writes for {places} calls, as many as may at once"), "")
}

/// Every place to send or receive a snapshot at is taken.
pub(crate) fn busy_transferring(places: usize) -> Status {
    try_again(&format!("{places} snapshots are on their way, as many as may at once"), "")
}

/// Every place to import at is taken.
pub(crate) fn busy_importing(places: usize) -> Status {
    try_again(&format!("{places} imports are open, as many as may at once"), "")
}

/// The client's deadline passed.
pub(crate) fn deadline_exceeded() -> Status {
    Status::deadline_exceeded(
        "the deadline of the call passed before the answer was ready; a write may still have been done; ask for less, \
         or allow more time",
    )
}

/// Requests and answers that were not read take all the memory they may.
pub(crate) fn out_of_bytes(most: usize) -> Status {
    let why = format!(
        "requests and answers that clients have not read take {most} bytes, as many as they may"
    );
    try_again(&why, "read answers, and ")
}

/// A refusal that is over in a moment.
fn try_again(why: &str, what_else: &str) -> Status {
    let delay = RETRY_DELAY.as_millis();
    let message = format!("the server is busy: {why}; {what_else}try again in {delay} ms");
    let details = ErrorDetails::with_retry_info(Some(RETRY_DELAY));
    Status::with_error_details(Code::ResourceExhausted, message, details)
}

/// The server is going away.
pub(crate) fn shutting_down() -> Status {
    Status::unavailable(
        "the server is shutting down; what was acknowledged is durable: connect again and send the rest",
    )
}

/// The engine panicked: a bug, and no reason to fall.
pub(crate) fn panicked(error: &JoinError) -> Status {
    tracing::error!(%error, "a call panicked");
    Status::internal(
        "the server failed at this call, which is a bug; what was acknowledged before is durable",
    )
}

/// A record that the engine did not take.
pub(crate) fn record_error(error: RecordError, position: usize) -> wire::ItemError {
    wire::ItemError {
        position: position as u32,
        id: error.id,
        code: code_of_field(error.field).into(),
        reason: format!("{}: {}", error.field, error.reason),
    }
}

/// A record whose message could not be turned into what the engine takes.
pub(crate) fn unconverted(error: &ConvertError, id: &str, position: usize) -> wire::ItemError {
    let code = match error.field() {
        field if field.contains(".molecule") => wire::ItemErrorCode::InvalidMolecule,
        field if field.contains(".payload") => wire::ItemErrorCode::InvalidPayload,
        _ => wire::ItemErrorCode::InvalidItem,
    };
    let id = id.chars().take(SHOWN_ID_CHARS).collect();
    wire::ItemError { position: position as u32, id, code: code.into(), reason: error.to_string() }
}

fn code_of_field(field: &str) -> wire::ItemErrorCode {
    match field {
        "id" => wire::ItemErrorCode::InvalidId,
        "molecule" => wire::ItemErrorCode::InvalidMolecule,
        "text" => wire::ItemErrorCode::InvalidText,
        "payload" => wire::ItemErrorCode::InvalidPayload,
        _ => wire::ItemErrorCode::InvalidItem,
    }
}

#[cfg(test)]
mod tests {
    use moiety_encoder::EncoderError;

    use super::*;

    #[test]
    fn busy_server_says_when_to_try_again() {
        let status = busy(7);
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains('7'));
        let details = status.get_error_details();
        assert_eq!(details.retry_info().and_then(|info| info.retry_delay), Some(RETRY_DELAY));
    }

    #[test]
    fn engine_errors_get_canonical_codes() {
        let cases = [
            (
                EngineError::Invalid { field: "limit".into(), reason: "too large".into() },
                Code::InvalidArgument,
            ),
            (EngineError::CollectionNotFound { name: "x".into() }, Code::NotFound),
            (EngineError::CollectionExists { name: "x".into() }, Code::AlreadyExists),
            (EngineError::UnsupportedFormat { found: 9, supported: 1 }, Code::FailedPrecondition),
            (
                EngineError::Corrupt { what: "record".into(), reason: "short".into() },
                Code::DataLoss,
            ),
            (EngineError::Store("disk full".into()), Code::Internal),
            (EngineError::Cancelled, Code::Cancelled),
            (EncoderError::Stopped { steps: 3 }.into(), Code::Cancelled),
        ];
        for (error, code) in cases {
            let status = engine_status(&error);
            assert_eq!((status.code(), status.message()), (code, error.to_string().as_str()));
        }
    }

    #[test]
    fn invalid_argument_carries_the_field() {
        let error = EngineError::Invalid { field: "limit".into(), reason: "too large".into() };
        let details = engine_status(&error).get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "limit");
    }
}
