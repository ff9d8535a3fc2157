//! Records, durability and search.
//!
//! It keeps records of molecules and texts in a directory, encodes them with the encoder it is given, and finds them again
//! by what they are and say. It is a library without a runtime of its own: no network, no async, no global state.
//!
//! ```
//! use std::sync::Arc;
//!
//! use moiety_chem::Structure;
//! use moiety_encoder::HashingEncoder;
//! use moiety_engine::{
//!     CollectionConfig, Engine, EngineOptions, Query, Record, SearchRequest, Side,
//! };
//!
//! let dir = tempfile::tempdir()?;
//! let encoder = Arc::new(HashingEncoder::new(64));
//! let engine = Engine::open(dir.path(), encoder, EngineOptions::default())?;
//! engine.create_collection(CollectionConfig::named("drinks"))?;
//! let ethanol = Record {
//!     id: "ethanol".into(),
//!     molecule: Some(Structure::Smiles("CCO".into())),
//!     text: Some("the alcohol of wine and beer".into()),
//!     ..Record::default()
//! };
//! engine.upsert("drinks", vec![ethanol])?;
//! let request = SearchRequest::new(Query::Text("beer".into()), Side::Text, 10);
//! let response = engine.search("drinks", &request)?;
//! assert_eq!(response.hits[0].record.id, "ethanol");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod background;
mod bulk;
mod cancel;
mod check;
mod collection;
mod delete;
mod encode;
mod encode_query;
mod engine;
mod error;
mod explain;
mod facts;
mod fields;
mod filter;
mod filter_plan;
mod generate;
mod graphs;
mod index_field;
mod keeper;
mod levels;
pub mod limits;
mod live;
mod live_prints;
mod lookup;
mod memory;
mod options;
mod plan;
mod predict;
mod prepare;
mod prints;
mod query;
mod questions;
mod read;
mod rebuild;
mod record;
mod repair;
mod rerank;
mod scan;
mod schema;
mod search;
mod select;
mod snapshot;
mod store;
mod unknown_fields;
mod upsert;

pub use cancel::Patience;
pub use collection::{
    CollectionConfig, CollectionInfo, CollectionStats, Durability, HnswParams, Metric, Readiness,
    SideStats,
};
pub use encode::ItemEncodingError;
pub use engine::Engine;
pub use error::{EngineError, ErrorKind};
pub use filter::{Bound, Filter, FilterSyntaxError};
pub use filter_plan::{AccessPath, ConditionPlan, FilterPlan, Strategy};
pub use generate::{GeneratedMolecule, GeneratedText, ItemResult, NamedMolecule};
pub use moiety_chem::{Group, NORMALISATION_RULE, PatternStereo, Structure};
pub use moiety_encoder::property::{Head, HeadPrediction, HeadSpec, Heads, TaskKind};
pub use moiety_encoder::t5::generate::{
    GenerateOptions, LengthCount, Sampling, Scoring, Strategy as GenerateStrategy,
};
pub use moiety_encoder::{Encoder, Encoding, Extent, Level, ModelInfo};
pub use options::{Access, EngineOptions, FreeSpace, Start};
pub use predict::Predictions;
pub use prepare::inexact_integer;
pub use query::{
    Accuracy, Direction, ExplainRequest, Explanation, FilterExplanation, Hit, LevelExplanation,
    LevelName, LevelScores, LevelWeights, MatchedPair, Query, Rerank, SearchRequest,
    SearchResponse, Side, Timings,
};
pub use questions::Page;
pub use record::{
    Acknowledged, MoleculeFacts, Record, RecordError, StoredMolecule, StoredRecord, UpsertOutcome,
};
pub use repair::{Repaired, repair};
pub use rerank::{full_level_scores, level_scores};
pub use schema::{FieldType, IndexInfo, IndexSpec, IndexState};
pub use snapshot::{
    SnapshotCollection, SnapshotFile, SnapshotInfo, SnapshotManifest, SnapshotPart, SnapshotReader,
    SnapshotWriter, verify_snapshot_folder,
};
#[doc(hidden)]
pub use store::read_any_value;
pub use store::{Damage, Migrated, StoreUse};
