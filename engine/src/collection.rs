//! Collections: what one is asked to be, and what it says of itself.

use moiety_index::{MAX_EF as MAX_INDEX_EF, MAX_M};

use crate::{
    IndexSpec,
    error::{EngineError, Result},
    limits::{MAX_EF, MAX_NAME_BYTES},
};

/// How vectors of a collection are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The angle alone.
    #[default]
    Cosine,
    /// The dot product, length included.
    Dot,
}

/// What an acknowledgement promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The write-ahead log is on the disk (`fsync`) before the answer: acknowledged records survive power loss.
    #[default]
    Fsync,
    /// As `Fsync`, but writers that come together share one sync, which pays where many write at once. A reader may see a
    /// record in the moment before it is on the disk.
    Grouped,
    /// The log is with the operating system before the answer: acknowledged records survive a crash of this process,
    /// but the last moments may be lost with the power. Faster for small batches.
    Wal,
}

/// Shape of the graph of each index; defaults suit collections of up to some millions of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct HnswParams {
    /// Links per point and layer, 2 to `moiety_index::MAX_M`.
    pub m: usize,
    /// Width of the search when a point is linked.
    pub ef_construction: usize,
    /// Width of a search unless it says otherwise.
    pub ef_search: usize,
}

impl Default for HnswParams {
    fn default() -> Self {
        Self { m: 16, ef_construction: 100, ef_search: 256 }
    }
}

/// What a new collection should be.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CollectionConfig {
    /// Letters, digits, `_`, `-` and `.`, not starting with a dot; at most `limits::MAX_NAME_BYTES` bytes.
    pub name: String,
    /// How vectors are compared.
    pub metric: Metric,
    /// Shape of the graphs.
    pub hnsw: HnswParams,
    /// What an acknowledgement promises.
    pub durability: Durability,
    /// Fields that filters find by an index; more can be added and dropped later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub indexes: Vec<IndexSpec>,
}

impl CollectionConfig {
    /// A collection with default settings.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let HnswParams { m, ef_construction, ef_search } = self.hnsw;
        check_range("hnsw.m", m, 2, MAX_M)?;
        check_range("hnsw.ef_construction", ef_construction, 1, MAX_INDEX_EF)?;
        check_range("hnsw.ef_search", ef_search, 1, MAX_EF)
    }
}

/// What a collection is, fixed when it was created but for its indexes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CollectionInfo {
    /// As it was asked for.
    pub config: CollectionConfig,
    /// Name of the model of its vectors.
    pub model: String,
    /// Fingerprint of that model.
    pub fingerprint: String,
    /// Length of global vectors.
    pub global_dim: usize,
    /// Length of fragment and token vectors.
    pub part_dim: usize,
    /// Format version it was written with.
    pub format_version: u32,
    /// The rule by which structures were normalised when it was made, see [`moiety_chem::NORMALISATION_RULE`]. Records that a
    /// later program writes follow that program's rule; import them again to have all by one.
    #[serde(default = "first_rule")]
    pub normalisation_rule: u32,
}

/// The rule of collections that do not say.
fn first_rule() -> u32 {
    1
}

/// How large a collection is, and how ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionStats {
    /// Live records.
    pub records: u64,
    /// The index of molecules.
    pub molecules: SideStats,
    /// The index of texts.
    pub texts: SideStats,
    /// Bytes of memory of the molecules' fingerprints; zero where structure filters read them from the store.
    pub fingerprint_bytes: u64,
    /// Rough bytes on disk: the collection's share of tables, blobs and log.
    pub disk_bytes: u64,
    /// What its searches go through.
    pub readiness: Readiness,
    /// Why a graph could not be written to the disk, where the last try failed. It is tried again once the graph rests; an
    /// open before one succeeds makes again what the file of before lacks.
    pub unsaved: Option<String>,
}

/// What the searches of a collection go through; all of it answers, and all but `Ready` exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Readiness {
    /// There is no room for the vectors in memory: they are read from the store for every search. It takes no records until
    /// there is.
    OnDisk,
    /// Vectors are read from the store for every search, until they are in memory.
    Loading,
    /// Vectors are in memory, and some of them are not linked into the graph yet.
    Linking,
    /// All is as it will be.
    #[default]
    Ready,
}

/// One index of a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideStats {
    /// Live vectors.
    pub vectors: u64,
    /// Deleted vectors that still take memory until the next rebuild.
    pub tombstones: u64,
    /// Vectors linked into the graph; the others are searched exactly.
    pub linked: u64,
    /// Rough bytes of memory.
    pub memory_bytes: u64,
    /// The part of them that is the vectors themselves.
    pub vector_bytes: u64,
}

/// A name is safe in paths, in logs and on a command line.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let good = name.chars().all(allowed) && !name.starts_with('.');
    if good && (1..=MAX_NAME_BYTES).contains(&name.len()) {
        return Ok(());
    }
    let reason = format!(
        "a name has 1 to {MAX_NAME_BYTES} letters, digits, `_`, `-` or `.`, and does not start with a dot"
    );
    Err(EngineError::invalid("name", reason))
}

fn check_range(field: &str, value: usize, least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(EngineError::invalid(
        field,
        format!("{value} is out of range: allowed is {least} to {most}"),
    ))
}
