//! Records, durability and search.

mod collection;
mod encode;
mod engine;
mod error;
mod filter;
pub mod limits;
mod query;
mod record;

pub use collection::{
    CollectionConfig, CollectionInfo, CollectionStats, Durability, HnswParams, Metric, SideStats,
};
pub use encode::ItemEncodingError;
pub use engine::{Engine, EngineOptions, Page};
pub use error::{EngineError, ErrorKind};
pub use filter::{Bound, Filter};
pub use moiety_chem::Structure;
pub use moiety_encoder::{Encoder, Encoding, Extent, Level, ModelInfo};
pub use query::{
    Accuracy, Direction, ExplainRequest, Explanation, Hit, LevelExplanation, LevelName,
    LevelScores, LevelWeights, MatchedPair, Query, Rerank, SearchRequest, SearchResponse, Side,
    Timings,
};
pub use record::{
    Acknowledged, MoleculeFacts, Record, RecordError, StoredMolecule, StoredRecord, UpsertOutcome,
};
