//! Vectors in, nearest neighbours out.

mod error;

pub use error::IndexError;
