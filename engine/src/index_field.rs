//! Making and dropping field indexes while records are read and written.
//!
//! A new index is declared first: from then on every write keeps it. Then the records that were there are read in chunks,
//! each in a writer's turn, so that what is written about a record is about a version that lives. Filters use the index
//! when it is whole. What a crash leaves unfinished is finished at the next open.

use crate::{
    Durability, IndexInfo, IndexSpec,
    error::{EngineError, Result},
    filter::Field,
    live::LiveCollection,
    schema::{Entries, Index, Schema},
    store::{Batch, Store},
};

/// Records that are read in one writer's turn.
const CHUNK_RECORDS: usize = 500;

/// Makes an index and fills it; comes back when filters use it.
pub(crate) fn create(store: &Store, live: &LiveCollection, spec: &IndexSpec) -> Result<IndexInfo> {
    let number = {
        let _turn = live.writer()?;
        let mut schema = Schema::clone(&live.fields.schema());
        let number = schema.declare(spec, "index")?;
        save(store, live, schema, None)?;
        number
    };
    build(store, live, number)?;
    let made = live.fields.schema();
    let made = made.indexes().iter().find(|index| index.number == number);
    let spec = made.map(|index| index.spec.clone()).ok_or_else(|| dropped(live, &spec.field))?;
    Ok(IndexInfo { spec, state: crate::IndexState::Ready })
}

/// Drops the index of a field.
pub(crate) fn drop_index(store: &Store, live: &LiveCollection, field: &str) -> Result<()> {
    let parsed = Field::parse(field).map_err(|reason| EngineError::invalid("field", reason))?;
    let _turn = live.writer()?;
    let mut schema = Schema::clone(&live.fields.schema());
    let index = schema.remove(&parsed).ok_or_else(|| dropped(live, field))?;
    save(store, live, schema, Some(index.number))
}

/// Finishes what the last process left unfinished; an index that no longer can be made is dropped.
pub(crate) fn resume(store: &Store, live: &LiveCollection) -> Result<()> {
    let unfinished = live.fields.schema();
    for index in unfinished.indexes().iter().filter(|index| !index.ready) {
        match build(store, live, index.number) {
            Err(EngineError::Invalid { .. }) | Ok(()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills a declared index and lets filters use it; on an error it is gone.
fn build(store: &Store, live: &LiveCollection, number: u32) -> Result<()> {
    let filled = fill(store, live, number);
    live.fields.set_progress(number, None);
    let _turn = live.writer()?;
    let mut schema = Schema::clone(&live.fields.schema());
    match filled {
        Ok(()) => {
            schema.finish(number);
            save(store, live, schema, None)
        }
        Err(error) => {
            let doomed = schema.indexes().iter().find(|index| index.number == number).cloned();
            if let Some(field) = doomed.and_then(|index| Field::parse(&index.spec.field).ok()) {
                schema.remove(&field);
                save(store, live, schema, Some(number))?;
            }
            Err(error)
        }
    }
}

fn fill(store: &Store, live: &LiveCollection, number: u32) -> Result<()> {
    // Later versions have their entries from their own write.
    let end = live.writer()?.next_version();
    let (mut first, mut read) = (0, 0);
    loop {
        let _turn = live.writer()?;
        let versions = live.fields.next_versions(first, end, CHUNK_RECORDS);
        let Some(last) = versions.last() else { return Ok(()) };
        first = last + 1;
        let schema = live.fields.schema();
        let index = schema.indexes().iter().find(|index| index.number == number);
        let index = index.ok_or_else(|| dropped(live, "field"))?;
        write_chunk(store, live, index, &versions)?;
        read += versions.len() as u64;
        live.fields.set_progress(number, Some(read));
    }
}

fn write_chunk(
    store: &Store,
    live: &LiveCollection,
    index: &Index,
    versions: &[u64],
) -> Result<()> {
    let records = store.view().records(live.number, versions)?;
    let mut batch = Batch::new(store);
    for (version, record) in versions.iter().zip(records) {
        let Some(record) = record else { continue };
        let misfit = |reason| {
            EngineError::invalid("index.type", format!("record {:?}: {reason}", record.id))
        };
        let values = index.values(&record).map_err(misfit)?;
        let entries: Entries = values.into_iter().map(|value| (index.number, value)).collect();
        batch.put_entries(live.number, *version, &entries)?;
    }
    batch.write(Durability::Wal)
}

/// Store first, then the memory; a dropped index loses its entries in the same batch.
fn save(store: &Store, live: &LiveCollection, schema: Schema, drop: Option<u32>) -> Result<()> {
    let mut batch = Batch::new(store);
    batch.put_collection(&live.info.config.name, &live.describe_with(&schema)?)?;
    if let Some(number) = drop {
        batch.remove_index(live.number, number)?;
    }
    batch.write(Durability::Fsync)?;
    live.fields.set_schema(schema);
    Ok(())
}

fn dropped(live: &LiveCollection, field: &str) -> EngineError {
    let collection = live.info.config.name.clone();
    EngineError::IndexNotFound { collection, field: field.to_owned() }
}

#[cfg(test)]
mod tests {
    use moiety_index::Meter;
    use serde_json::json;

    use super::*;
    use crate::{
        CollectionConfig, CollectionInfo, FieldType, StoredRecord,
        live::Indexing,
        store::{CollectionId, FieldValue, encode_record, key::FORMAT_VERSION},
    };

    fn indexing() -> Indexing {
        Indexing { exact_below: 64, meter: Meter::default() }
    }

    fn collection() -> LiveCollection {
        let info = CollectionInfo {
            config: CollectionConfig::named("c"),
            model: "m".into(),
            fingerprint: "f".into(),
            global_dim: 4,
            part_dim: 4,
            format_version: FORMAT_VERSION,
            normalisation_rule: moiety_chem::NORMALISATION_RULE,
        };
        LiveCollection::empty(CollectionId(3), info, Schema::default(), &indexing()).unwrap()
    }

    fn fill_store(store: &Store, live: &LiveCollection, records: u64) {
        for n in 0..records {
            let version = live.writer().unwrap().take_version();
            let payload = json!({"n": n}).as_object().unwrap().clone();
            let record = StoredRecord { id: n.to_string(), molecule: None, text: None, payload };
            let mut batch = Batch::new(store);
            batch.put_record(live.number, &record.id, version, &encode_record(&record)).unwrap();
            batch.write(Durability::Wal).unwrap();
            live.fields.insert(version);
        }
    }

    fn present(store: &Store, live: &LiveCollection, number: u32) -> usize {
        let range = live.number.value_range(number, &FieldValue::Present);
        store.view().entries(range).unwrap().count()
    }

    #[test]
    fn what_a_crash_left_unfinished_is_finished_at_open_and_dropped_where_it_cannot_be() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), &crate::EngineOptions::default()).unwrap();
        let live = collection();
        fill_store(&store, &live, 1_200);
        let mut schema = Schema::default();
        for field_type in [FieldType::Integer, FieldType::Text] {
            let field = if field_type == FieldType::Text { "n" } else { "payload.n" };
            let spec = IndexSpec { field: field.into(), field_type };
            let mut alone = Schema::default();
            alone.declare(&spec, "index").unwrap();
            schema = alone;
            save(&store, &live, schema.clone(), None).unwrap();
            if field_type == FieldType::Integer {
                write_chunk(&store, &live, &schema.indexes()[0], &[0, 1, 2]).unwrap();
            }
            let described = live.describe().unwrap();
            let again = LiveCollection::described(&described, &indexing(), &store).unwrap();
            assert!(again.fields.schema().ready(&Field::parse("n").unwrap()).is_none());
            resume(&store, &again).unwrap();
            let ready = again.fields.schema();
            let made = ready.ready(&Field::parse("n").unwrap()).is_some();
            assert_eq!(made, field_type == FieldType::Integer, "a number is no text");
            assert_eq!(present(&store, &again, 0), if made { 1_200 } else { 0 });
        }
        assert_eq!(schema.indexes().len(), 1);
    }
}
