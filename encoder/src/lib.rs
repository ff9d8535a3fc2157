//! Molecules and texts in, embeddings at three levels out.
//!
//! It is the only room that knows candle and tokenizers. It is not a search engine: how encodings are compared, stored
//! and ranked is the engine's business.

mod encoder;
mod encoding;
mod error;
mod hashing;

pub use encoder::{Encoder, ModelInfo};
pub use encoding::{Encoding, Extent, Level};
pub use error::EncoderError;
pub use hashing::HashingEncoder;
