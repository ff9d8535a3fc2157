//! The bounds of the edge. What a structure or a text may be is bounded by the rooms that read them.

use std::time::Duration;

/// Largest request message, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Largest response message that the client of this crate takes, in bytes.
pub const MAX_RESPONSE_BYTES: usize = 256 << 20;

/// Most records of one upsert or one chunk of an import, and most ids of one get or delete.
pub const MAX_BATCH: usize = 10_000;

/// Most items of one encode request.
pub const MAX_ENCODE: usize = 1_000;

/// Most items of one request that makes the model write.
pub const MAX_WRITTEN: usize = 100;

/// Longest generated text, in tokens.
pub const MAX_WRITTEN_TOKENS: u32 = 1_024;

/// Longest generated text of a request that does not say, in tokens.
pub const DEFAULT_WRITTEN_TOKENS: u32 = 256;

/// Most beams, and most draws, for one item.
pub const MAX_BEAMS: u32 = 64;

/// Beams of a beam search that does not say how many.
pub const DEFAULT_BEAMS: u32 = 5;

/// Most hits of one query.
pub const MAX_HITS: u32 = 1_000;

/// Hits of a query that does not say how many.
pub const DEFAULT_HITS: u32 = 10;

/// Most candidates of one rerank.
pub const MAX_CANDIDATES: u32 = 10_000;

/// Most records of one page.
pub const MAX_PAGE: u32 = 1_000;

/// Records of a page that does not say how many.
pub const DEFAULT_PAGE: u32 = 100;

/// Most snapshots that are sent and received at a time: each has a thread of its own, for as long as its client takes.
pub const MAX_TRANSFERS: usize = 8;

/// Most imports open at a time: each may hold a message of [`MAX_MESSAGE_BYTES`].
pub const MAX_IMPORTS: usize = 32;

/// How long a refused client is asked to wait.
pub const RETRY_DELAY: Duration = Duration::from_millis(200);

/// How much earlier than the client's own deadline the server gives up, so that its answer still arrives: a tenth of the
/// time allowed, but no more than this.
pub const MAX_DEADLINE_MARGIN: Duration = Duration::from_millis(100);
