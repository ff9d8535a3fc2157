//! What a search is asked and what it answers.

use std::time::Duration;

use moiety_chem::{Group, Structure};
use moiety_encoder::Extent;

use crate::{Filter, FilterPlan, StoredRecord};

/// One of the two things a record can hold, each with its own embeddings and index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The molecule.
    Molecule,
    /// The text.
    Text,
}

impl Side {
    /// Both sides.
    pub const ALL: [Side; 2] = [Side::Molecule, Side::Text];

    /// `molecule` or `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Molecule => "molecule",
            Self::Text => "text",
        }
    }
}

/// What is looked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Words.
    Text(String),
    /// A structure.
    Molecule(Structure),
    /// A global vector of the collection's model; it has no parts, so nothing is reranked.
    Vector(Vec<f32>),
    /// The embedding of a stored record, which is itself among the hits when it has the target side.
    Id {
        /// The record.
        id: String,
        /// Which of its sides is the query.
        side: Side,
    },
}

/// A search of one collection.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// What is looked for.
    pub query: Query,
    /// Which side of the records is compared with it.
    pub target: Side,
    /// Most hits to return, up to `limits::MAX_LIMIT`; zero gives none.
    pub limit: usize,
    /// Which records are seen; all when absent.
    pub filter: Option<Filter>,
    /// Whether and how candidates are ranked again by their parts.
    pub rerank: Option<Rerank>,
    /// Whether the index may approximate.
    pub accuracy: Accuracy,
}

impl SearchRequest {
    /// The `limit` best records for a query, without filter or rerank.
    pub fn new(query: Query, target: Side, limit: usize) -> Self {
        Self { query, target, limit, filter: None, rerank: None, accuracy: Accuracy::default() }
    }
}

/// How closely the index must look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accuracy {
    /// The planner chooses, with the collection's `ef_search`.
    #[default]
    Auto,
    /// The graph may be used, with this width of search.
    Ef(usize),
    /// Every vector is compared.
    Exact,
}

/// Ranking of the best candidates by the three-level score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rerank {
    /// How many candidates are ranked again; at least the limit is.
    pub candidates: usize,
    /// How much each level counts.
    pub weights: LevelWeights,
}

/// How much each level counts in a score: `global·wg + fragment·wf + token·wt`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LevelWeights {
    /// Weight of the whole.
    pub global: f32,
    /// Weight of fragments and phrases.
    pub fragment: f32,
    /// Weight of atoms and words.
    pub token: f32,
}

impl LevelWeights {
    /// The global vector alone.
    pub const GLOBAL_ONLY: Self = Self { global: 1.0, fragment: 0.0, token: 0.0 };
}

/// The answer to a search.
#[derive(Clone, Debug)]
pub struct SearchResponse {
    /// Best first; equal scores in the order of identifiers.
    pub hits: Vec<Hit>,
    /// Whether every record that the filter admits was compared: the candidates are then the true nearest.
    pub exact: bool,
    /// How the filter was answered, where there was one.
    pub filter: Option<FilterPlan>,
    /// Where the time went.
    pub timings: Timings,
    /// Fingerprint of the model that made the vectors.
    pub fingerprint: String,
}

/// One record found.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The total score: large is good.
    pub score: f32,
    /// The score of each level, before weights.
    pub levels: LevelScores,
    /// The record.
    pub record: StoredRecord,
}

/// Scores per level, before weights.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelScores {
    /// Cosine (or dot product) of the global vectors.
    pub global: f32,
    /// Weighted MaxSim of fragments and phrases; absent when not computed.
    pub fragment: Option<f32>,
    /// Weighted MaxSim of atoms and words; absent when not computed.
    pub token: Option<f32>,
}

/// Time per stage of a search.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Checking the request and reading the structure.
    pub parse: Duration,
    /// Encoding the query, or reading a stored one.
    pub encode: Duration,
    /// Choosing between graph and exact search.
    pub plan: Duration,
    /// Finding candidates, with the filter.
    pub candidates: Duration,
    /// Ranking them again.
    pub rerank: Duration,
    /// Reading the records of the hits.
    pub fetch: Duration,
    /// All of it.
    pub total: Duration,
}

/// A request to say why a record scores as it does.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// What is looked for.
    pub query: Query,
    /// The record to explain.
    pub id: String,
    /// Which of its sides is compared.
    pub target: Side,
    /// How much each level counts.
    pub weights: LevelWeights,
    /// A filter to explain beside the score: how a search would answer it, and which conditions the record meets.
    pub filter: Option<Filter>,
}

/// Why a record scores as it does; all contributions add up to the score.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The total score, the same that a reranked search gives.
    pub score: f32,
    /// Global, fragments, tokens; a level that cannot be compared is absent.
    pub levels: Vec<LevelExplanation>,
    /// The filter, where one was given.
    pub filter: Option<FilterExplanation>,
    /// Named parts of the molecule that was asked with; none for a text or a vector.
    pub query_groups: Vec<Group>,
    /// Named parts of the record's molecule; none where a text is compared.
    pub target_groups: Vec<Group>,
    /// Where the time went.
    pub timings: Timings,
    /// Fingerprint of the model that made the vectors.
    pub fingerprint: String,
}

/// What a filter says of one record, and how a search with it would go.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterExplanation {
    /// Whether the record passes.
    pub passes: bool,
    /// Whether each condition holds for the record, in the order of `plan.conditions`.
    pub holds: Vec<bool>,
    /// How a search for 10 records would answer the filter; nothing is counted to the end for it.
    pub plan: FilterPlan,
}

/// The pairs of one level.
#[derive(Clone, Debug)]
pub struct LevelExplanation {
    /// Which level.
    pub level: LevelName,
    /// How much it counts.
    pub weight: f32,
    /// Its score before the weight.
    pub score: f32,
    /// Largest contribution first.
    pub pairs: Vec<MatchedPair>,
}

/// One of the three levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelName {
    /// Molecule and whole text.
    Global,
    /// Fragments and phrases.
    Fragment,
    /// Atoms and words.
    Token,
}

/// A part of one side with the part of the other that is nearest to it.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchedPair {
    /// Which side the best partner was sought for.
    pub direction: Direction,
    /// Part of the query; absent at the global level.
    pub query: Option<Extent>,
    /// Part of the record; absent at the global level.
    pub target: Option<Extent>,
    /// Cosine of the two parts.
    pub cosine: f32,
    /// Weight of the part whose partner was sought, within its level.
    pub weight: f32,
    /// What the pair adds to the total score.
    pub contribution: f32,
}

/// MaxSim is computed both ways and averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The whole compared with the whole.
    Both,
    /// The best part of the record for a part of the query.
    QueryToTarget,
    /// The best part of the query for a part of the record.
    TargetToQuery,
}
