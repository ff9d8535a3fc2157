//! The errors of this room, coarse in kind and specific in what they say.

use std::path::PathBuf;

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong; sending it again does not help.
    Invalid,
    /// What the request names does not exist.
    NotFound,
    /// What the request would make exists already.
    AlreadyExists,
    /// The state of the database forbids it: another model, another format, another process.
    Refused,
    /// Memory or disk is used up; the same call may succeed when there is room.
    Exhausted,
    /// The caller went away or its time is over.
    Cancelled,
    /// Stored bytes are not what was written.
    Corrupt,
    /// A fault of this program, the system or the disk.
    Internal,
}

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// One argument is wrong.
    #[error("{field}: {reason}")]
    Invalid {
        /// The argument, as a path (`limit`, `filter.all[1].range`).
        field: String,
        /// What is wrong and which values are allowed.
        reason: String,
    },
    /// No collection has this name.
    #[error("no collection named {name:?}; create it first, or list the collections")]
    CollectionNotFound {
        /// The name asked for.
        name: String,
    },
    /// A collection of this name exists.
    #[error("a collection named {name:?} exists already; drop it first, or choose another name")]
    CollectionExists {
        /// The name asked for.
        name: String,
    },
    /// A record that a query or an explanation refers to does not exist.
    #[error("no record {id:?} in collection {collection:?}")]
    RecordNotFound {
        /// The collection.
        collection: String,
        /// The identifier asked for.
        id: String,
    },
    /// A record exists, but not the side of it that is needed.
    #[error("record {id:?} has no {side}, so nothing can be compared with it")]
    SideMissing {
        /// The identifier asked for.
        id: String,
        /// `molecule` or `text`.
        side: &'static str,
    },
    /// No index has this field.
    #[error("collection {collection:?} has no index of {field:?}; list its indexes, or create one")]
    IndexNotFound {
        /// The collection.
        collection: String,
        /// The field asked for.
        field: String,
    },
    /// The directory belongs to another process.
    #[error("{path} is in use by another process; stop it, or choose another directory: {reason}")]
    Locked {
        /// The data directory.
        path: PathBuf,
        /// What the store said.
        reason: String,
    },
    /// A collection was written with another model.
    #[error(
        "collection {collection:?} holds vectors of model {stored_name:?} ({stored}), but {loaded_name:?} ({loaded}) \
         is loaded; open it with its own model, or import the records into a new directory"
    )]
    ModelMismatch {
        /// The collection.
        collection: String,
        /// Fingerprint in the store.
        stored: Box<str>,
        /// Name of the model in the store.
        stored_name: Box<str>,
        /// Fingerprint of the encoder given.
        loaded: Box<str>,
        /// Name of the encoder given.
        loaded_name: Box<str>,
    },
    /// The store was written by another version of this program.
    #[error("the store has format version {found}, this program reads version {supported}; {}", remedy(*found, *supported))]
    UnsupportedFormat {
        /// Version in the store.
        found: u32,
        /// Version of this program.
        supported: u32,
    },
    /// Nothing can be written there.
    #[error("{path} is open for reading only; open it for writing where the disk allows it")]
    ReadOnly {
        /// The data directory.
        path: PathBuf,
    },
    /// The disk is nearly full.
    #[error(
        "{path} has {free} bytes free and the write needs {needed}, the reserve included; make room, or delete records: \
         deletions and reads go on"
    )]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// Bytes free.
        free: u64,
        /// Bytes that must be free.
        needed: u64,
    },
    /// The budget of memory for vectors and graphs is used up.
    #[error(
        "vectors and graphs take {used} bytes of memory and may take {budget}; {wanted} more are needed, that of the next graph while it is built included; delete records and rebuild, or allow more"
    )]
    MemoryFull {
        /// Bytes in use.
        used: usize,
        /// Bytes needed beside them.
        wanted: usize,
        /// Bytes allowed.
        budget: usize,
    },
    /// The caller does not want the answer any more.
    #[error("the call was cancelled")]
    Cancelled,
    /// The caller's time is over.
    #[error("the deadline passed before the answer was found")]
    DeadlineExceeded,
    /// No snapshot has this name.
    #[error("no snapshot named {name:?}; list the snapshots")]
    SnapshotNotFound {
        /// The name asked for.
        name: String,
    },
    /// A snapshot of this name exists.
    #[error("a snapshot named {name:?} exists already; delete it first, or choose another name")]
    SnapshotExists {
        /// The name asked for.
        name: String,
    },
    /// Stored bytes are not what was written.
    #[error("corrupt {what}: {reason}")]
    Corrupt {
        /// Which value.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A prediction was asked for where no head is loaded.
    #[error(
        "no property head is loaded; open the engine with heads that were fitted on its encoder"
    )]
    NoHeads,
    /// A text or a molecule was to be written by a model that does not write.
    #[error(
        "model {model:?} writes neither captions nor molecules; load one that does: an Atomas that was trained \
         (`moiety train --recipe atomas`) or converted (`moiety convert`)"
    )]
    CannotWrite {
        /// The model that is loaded.
        model: String,
    },
    /// The query's molecule cannot be read.
    #[error("query.molecule: {0}")]
    Structure(#[source] moiety_chem::ChemError),
    /// The encoder failed.
    #[error(transparent)]
    Encoder(#[from] moiety_encoder::EncoderError),
    /// The index failed.
    #[error("index: {0}")]
    Index(#[from] moiety_index::IndexError),
    /// The store failed; what was not acknowledged may be lost, nothing else.
    #[error("store: {0}")]
    Store(String),
    /// The system gave no threads.
    #[error("cannot start {count} threads for writes (0: one per core): {source}")]
    Threads {
        /// How many were asked for.
        count: usize,
        /// What the system said.
        source: rayon::ThreadPoolBuildError,
    },
    /// A file or directory could not be used.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl EngineError {
    /// What a caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        use moiety_encoder::EncoderError as E;
        match self {
            Self::Invalid { .. } | Self::SideMissing { .. } | Self::Structure(_) => {
                ErrorKind::Invalid
            }
            Self::Encoder(E::Text { .. } | E::Molecule { .. } | E::Request(_)) => {
                ErrorKind::Invalid
            }
            Self::Encoder(E::Stopped { .. }) | Self::Index(moiety_index::IndexError::Stopped) => {
                ErrorKind::Cancelled
            }
            Self::Index(error) if error.is_callers_fault() => ErrorKind::Invalid,
            Self::CollectionNotFound { .. }
            | Self::RecordNotFound { .. }
            | Self::IndexNotFound { .. }
            | Self::SnapshotNotFound { .. } => ErrorKind::NotFound,
            Self::CollectionExists { .. } | Self::SnapshotExists { .. } => ErrorKind::AlreadyExists,
            Self::Locked { .. }
            | Self::ModelMismatch { .. }
            | Self::UnsupportedFormat { .. }
            | Self::ReadOnly { .. } => ErrorKind::Refused,
            Self::NoHeads | Self::CannotWrite { .. } | Self::Encoder(E::ForeignHead { .. }) => {
                ErrorKind::Refused
            }
            Self::DiskFull { .. } | Self::MemoryFull { .. } => ErrorKind::Exhausted,
            Self::Cancelled | Self::DeadlineExceeded => ErrorKind::Cancelled,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Encoder(_)
            | Self::Index(_)
            | Self::Store(_)
            | Self::Threads { .. }
            | Self::Io { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    pub(crate) fn corrupt(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into(), reason: reason.into() }
    }
}

/// What to do about a store of another version.
fn remedy(found: u32, supported: u32) -> &'static str {
    if found < supported { "run `moiety migrate` on it" } else { "use a newer release" }
}

/// Short for this room's results.
pub(crate) type Result<T> = std::result::Result<T, EngineError>;
