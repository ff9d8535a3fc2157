//! What can go wrong for a client.

use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// What lies at the bottom of an error, where the system says why ("Connection refused").
fn root_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root_cause)
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("{address:?} is not an address such as http://127.0.0.1:7400: {source}")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        source: tonic::transport::Error,
    },
    /// The address asks for something other than plain HTTP/2.
    #[error(
        "{scheme}:// is not spoken: connections are not encrypted yet; use http:// on this machine or through a tunnel"
    )]
    Scheme {
        /// What was given before `://`.
        scheme: String,
    },
    /// No server answers there.
    #[error("cannot connect to {address}: is the server running? ({})", root_cause(source))]
    Connect {
        /// Where it was sought.
        address: String,
        /// What the transport said.
        source: tonic::transport::Error,
    },
    /// The server refused the call.
    #[error("{message} ({code:?})")]
    Refused {
        /// Canonical gRPC code.
        code: Code,
        /// What is wrong, where, and what to do.
        message: String,
        /// The fields at fault.
        violations: Vec<FieldViolation>,
        /// When to try again, if the server said.
        retry_after: Option<Duration>,
    },
    /// The chunks of an import must have growing sequence numbers.
    #[error(
        "sequence number {found} does not follow {last}: each chunk needs a larger one, from 1"
    )]
    SequenceOrder {
        /// Number of the chunk before.
        last: u64,
        /// Number of this chunk.
        found: u64,
    },
    /// An import broke too often.
    #[error(
        "the import broke {attempts} times in a row, last durable sequence number {last_durable}: {last}"
    )]
    ImportBroken {
        /// Attempts made.
        attempts: u32,
        /// What is durable; resume after it.
        last_durable: u64,
        /// The last failure.
        last: Box<ClientError>,
    },
}

/// A field of a request and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field.
    pub field: String,
    /// What is wrong with it.
    pub description: String,
}

impl ClientError {
    /// The canonical code, where a server gave one.
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::ImportBroken { last, .. } => last.code(),
            Self::Address { .. }
            | Self::Scheme { .. }
            | Self::Connect { .. }
            | Self::SequenceOrder { .. } => None,
        }
    }

    /// Whether the same call may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } => true,
            Self::Refused { code: Code::Unavailable, .. } => true,
            Self::Refused { code: Code::ResourceExhausted, retry_after, .. } => {
                retry_after.is_some()
            }
            // A connection that was cut shows as one of these, without details of ours.
            Self::Refused { code: Code::Unknown | Code::Cancelled, violations, .. } => {
                violations.is_empty()
            }
            _ => false,
        }
    }
}

impl From<Status> for ClientError {
    fn from(status: Status) -> Self {
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.clone());
        let violations = violations.unwrap_or_default().into_iter().map(|violation| {
            FieldViolation { field: violation.field, description: violation.description }
        });
        Self::Refused {
            code: status.code(),
            message: status.message().to_owned(),
            violations: violations.collect(),
            retry_after: details.retry_info().and_then(|info| info.retry_delay),
        }
    }
}
