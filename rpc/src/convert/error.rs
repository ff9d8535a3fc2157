//! What can be wrong with a message that is valid protobuf.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// A field that cannot be turned into what the engine takes. Always the caller's fault.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConvertError {
    /// Something that must be given is not.
    #[error("{field} is missing: {remedy}")]
    Missing {
        /// Path of the field in the request.
        field: String,
        /// What to send.
        remedy: &'static str,
    },
    /// An enum has a number that this server does not know, or none where one is needed.
    #[error("{field} has the value {value}, which is not one of {known}")]
    UnknownEnum {
        /// Path of the field in the request.
        field: String,
        /// The number sent.
        value: i32,
        /// The values known.
        known: &'static str,
    },
    /// A number or a count is outside its bounds.
    #[error("{field} is {found}: it must be {bounds}")]
    OutOfRange {
        /// Path of the field in the request.
        field: String,
        /// What was sent.
        found: String,
        /// The bounds.
        bounds: String,
    },
    /// A number is NaN or infinite.
    #[error("{field} is not finite at position {position}: every number must be finite")]
    NotFinite {
        /// Path of the field in the request.
        field: String,
        /// Position in the vector, or zero for a single number.
        position: usize,
    },
    /// The bytes of a vector are not a whole number of numbers.
    #[error("{field} has {bytes} bytes, not a multiple of {width}, the size of one {dtype} number")]
    VectorBytes {
        /// Path of the field in the request.
        field: String,
        /// Bytes sent.
        bytes: usize,
        /// Bytes of one number.
        width: usize,
        /// Name of the dtype.
        dtype: &'static str,
    },
    /// A text does not follow its grammar.
    #[error("{field} cannot be read {reason}")]
    Syntax {
        /// Path of the field in the request.
        field: String,
        /// Where and why.
        reason: String,
    },
    /// Two fields do not go together.
    #[error("{field} cannot be used here: {reason}")]
    Conflict {
        /// Path of the field in the request.
        field: String,
        /// Why not, and what to send instead.
        reason: String,
    },
}

impl ConvertError {
    /// Path of the field at fault.
    pub fn field(&self) -> &str {
        match self {
            Self::Missing { field, .. }
            | Self::UnknownEnum { field, .. }
            | Self::OutOfRange { field, .. }
            | Self::NotFinite { field, .. }
            | Self::VectorBytes { field, .. }
            | Self::Syntax { field, .. }
            | Self::Conflict { field, .. } => field,
        }
    }
}

impl From<ConvertError> for Status {
    fn from(error: ConvertError) -> Self {
        let message = error.to_string();
        let details = ErrorDetails::with_bad_request_violation(error.field(), &message);
        Status::with_error_details(Code::InvalidArgument, message, details)
    }
}
