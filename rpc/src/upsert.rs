//! Writing a batch, shared by `Upsert` and `Import`: good records are stored, bad ones come back with their positions.

use moiety_engine::{Engine, Patience, UpsertOutcome};
use moiety_proto::v1 as wire;
use tonic::Status;

use crate::{
    convert::{check_count, record_from_wire},
    limits::MAX_BATCH,
    status::{engine_status, record_error, unconverted},
};

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) created: u32,
    pub(crate) replaced: u32,
    pub(crate) errors: Vec<wire::ItemError>,
}

/// Writes a batch durably. The error is of the batch as a whole: then nothing of it was acknowledged.
pub(crate) fn upsert(
    engine: &Engine,
    collection: &str,
    records: Vec<wire::Record>,
    patience: &Patience,
) -> Result<Written, Status> {
    check_count(records.len(), MAX_BATCH, "records")?;
    let mut written = Written::default();
    let mut taken = Vec::with_capacity(records.len());
    let mut positions = Vec::with_capacity(records.len());
    for (position, record) in records.into_iter().enumerate() {
        let id = record.id.clone();
        match record_from_wire(record, &format!("records[{position}]")) {
            Ok(record) => {
                taken.push(record);
                positions.push(position);
            }
            Err(error) => written.errors.push(unconverted(&error, &id, position)),
        }
    }
    if taken.is_empty() {
        engine.collection(collection).map_err(|error| engine_status(&error))?;
        return Ok(written);
    }
    let outcomes =
        engine.upsert_within(collection, taken, patience).map_err(|error| engine_status(&error))?;
    for (outcome, position) in outcomes.into_iter().zip(positions) {
        match outcome.map(|acknowledged| acknowledged.outcome) {
            Ok(UpsertOutcome::Created) => written.created += 1,
            Ok(UpsertOutcome::Replaced) => written.replaced += 1,
            Err(error) => written.errors.push(record_error(error, position)),
        }
    }
    written.errors.sort_by_key(|error| error.position);
    Ok(written)
}
