//! Molecules and texts in, embeddings at three levels out.
//!
//! It is the only room that knows candle and tokenizers. It is not a search engine: how encodings are compared, stored
//! and ranked is the engine's business.

pub mod atomas;
mod config;
mod contrastive;
pub mod convert;
mod device;
mod encoder;
mod encoding;
mod error;
mod features;
mod fingerprint;
mod hashing;
mod head;
mod layers;
mod load;
mod minilm;
mod model;
mod molecule;
mod ops;
pub mod overlap;
mod packed;
mod params;
mod parts;
mod phrases;
mod plain_text;
pub mod property;
mod ragged;
pub mod retrieval;
pub mod t5;
mod text;
mod tokenize;
mod towers;
pub mod train;
mod writer;

pub use config::{FeatureConfig, LevelWeights, ModelConfig, MoleculeConfig, TextConfig};
pub use device::DeviceChoice;
pub use encoder::{Encoder, ModelInfo};
pub use encoding::{Encoding, Extent, Level};
pub use error::EncoderError;
pub use hashing::HashingEncoder;
pub use load::{LoadedModel, load};
pub use model::Model;
pub use plain_text::plain_text;
pub use writer::{Proposal, Writer};
