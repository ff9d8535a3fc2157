//! What tonic refuses before a request reaches us, said in canonical codes and with the remedy.
//!
//! tonic answers an over-long message with OUT_OF_RANGE, and one that is not protobuf or cannot be unpacked with INTERNAL. The
//! first is a limit of ours and the others the caller's fault, so all are turned here. It leaves every other answer alone.

use tonic::{Code, Status, body::Body, codegen::http::Response};

use crate::limits::MAX_MESSAGE_BYTES;

const TOO_LARGE: &str = "Error, decoded message length too large";
const UNPACKS_TOO_LARGE: &str = "Error decompressing: size limit";
const CANNOT_UNPACK: &str = "Error decompressing: ";
const NOT_PROTOBUF: &str = "failed to decode Protobuf message";

/// Turns the response of a refused unary call.
pub(crate) fn restate_response(response: Response<Body>) -> Response<Body> {
    match Status::from_header_map(response.headers()).as_ref().and_then(restated) {
        Some(status) => status.into_http(),
        None => response,
    }
}

/// Turns the status of a refused message of a stream.
pub(crate) fn restate(status: Status) -> Status {
    restated(&status).unwrap_or(status)
}

fn restated(status: &Status) -> Option<Status> {
    let message = status.message();
    match status.code() {
        Code::OutOfRange if message.starts_with(TOO_LARGE) => {
            Some(Status::resource_exhausted(format!(
                "the request message is too large{}: the limit is {MAX_MESSAGE_BYTES} bytes; send fewer items in one \
                 message",
                found_bytes(message)
            )))
        }
        Code::ResourceExhausted if message.starts_with(UNPACKS_TOO_LARGE) => {
            Some(Status::resource_exhausted(format!(
                "the request message is too large when it is unpacked: the limit is {MAX_MESSAGE_BYTES} bytes; send fewer \
                 items in one message"
            )))
        }
        Code::Internal if message.starts_with(CANNOT_UNPACK) => {
            let detail = message[CANNOT_UNPACK.len()..].trim_end_matches(", while sending request");
            Some(Status::invalid_argument(format!(
                "the request cannot be unpacked: {detail}; check that it is compressed as its grpc-encoding says"
            )))
        }
        Code::Internal if message.starts_with(NOT_PROTOBUF) => {
            let detail = message[NOT_PROTOBUF.len()..].trim_start_matches([':', ' ']);
            Some(Status::invalid_argument(format!(
                "the request is not a valid protobuf message of this method: {detail}; check the client's .proto files \
                 and that every string is UTF-8"
            )))
        }
        _ => None,
    }
}

/// ` (123 bytes)` out of tonic's message, or nothing.
fn found_bytes(message: &str) -> String {
    message
        .split_once("found ")
        .and_then(|(_, rest)| rest.split_once(" bytes"))
        .map(|(count, _)| format!(" ({count} bytes)"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_large_message_is_resource_exhausted_and_names_both_sizes() {
        let tonic = Status::out_of_range(
            "Error, decoded message length too large: found 99 bytes, the limit is: 7 bytes",
        );
        let ours = restate(tonic);
        assert_eq!(ours.code(), Code::ResourceExhausted);
        assert!(ours.message().contains("(99 bytes)"), "{}", ours.message());
        assert!(ours.message().contains(&MAX_MESSAGE_BYTES.to_string()), "{}", ours.message());
    }

    #[test]
    fn undecodable_message_is_the_callers_fault() {
        let ours = restate(Status::internal("failed to decode Protobuf message: Record.id: bad"));
        assert_eq!(ours.code(), Code::InvalidArgument);
        assert!(ours.message().contains("Record.id: bad"), "{}", ours.message());
    }

    #[test]
    fn other_statuses_are_left_alone() {
        for status in [Status::internal("disk"), Status::out_of_range("page 7")] {
            let (code, message) = (status.code(), status.message().to_owned());
            let after = restate(status);
            assert_eq!((after.code(), after.message()), (code, message.as_str()));
        }
    }
}
