//! Every bound of the engine, in one place, so that an error can name it.

/// Most bytes of a record identifier.
pub const MAX_ID_BYTES: usize = 512;
/// Most bytes of a record's text.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Most bytes of a record's payload, as compact JSON.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// Deepest nesting of a payload.
pub const MAX_PAYLOAD_DEPTH: usize = 32;
/// Most bytes of a structure as given (SMILES, InChI or mol block).
pub const MAX_STRUCTURE_BYTES: usize = 1024 * 1024;
/// Most records in one upsert.
pub const MAX_BATCH_RECORDS: usize = 5_000;
/// Most identifiers in one get or delete.
pub const MAX_BATCH_IDS: usize = 10_000;
/// Most hits of one search, and most records of one page.
pub const MAX_LIMIT: usize = 10_000;
/// Most candidates that one search reranks.
pub const MAX_RERANK_CANDIDATES: usize = 10_000;
/// Deepest nesting of a filter.
pub const MAX_FILTER_DEPTH: usize = 16;
/// Most conditions in one filter, values of an `in` included.
pub const MAX_FILTER_NODES: usize = 10_000;
/// Most bytes of a collection's name.
pub const MAX_NAME_BYTES: usize = 128;
/// Most collections in one engine.
pub const MAX_COLLECTIONS: usize = 10_000;
/// Widest search of the graph that a caller or a collection may ask for.
pub const MAX_EF: usize = 20_000;
/// Longest filter in text form, in bytes.
pub const MAX_EXPRESSION_BYTES: usize = 64 * 1024;
/// Most structures in one filter: SMARTS and similarities.
pub const MAX_FILTER_STRUCTURES: usize = 64;
/// Most field indexes of one collection.
pub const MAX_INDEXES: usize = 64;
/// Rough bytes of the records in one answer: hits of a search, or records of a page or a get.
pub const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Integers up to this one, either way, are the same as doubles: 2 to the power of 53. Beyond, only the engine keeps them as they
/// are.
pub const MAX_EXACT_INTEGER: u64 = 1 << 53;
