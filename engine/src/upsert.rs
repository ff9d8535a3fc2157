//! The write path: check, encode, one durable batch, then the index, then the acknowledgement.
//!
//! Everything slow happens before a writer takes its turn. A record that cannot be taken comes back with its reason; the
//! others are written.

use std::collections::HashMap;

use moiety_chem::Molecule;
use moiety_encoder::{Encoder, EncoderError, Encoding};
use moiety_index::IndexError;
use rayon::prelude::*;

use crate::{
    Acknowledged, Engine, Patience, Record, RecordError, Side, StoredRecord, UpsertOutcome,
    error::{EngineError, Result},
    levels,
    limits::MAX_BATCH_RECORDS,
    live::{LiveCollection, Writer},
    prepare::{Draft, encoder_reason, prepare, shown},
    prints::Prints,
    schema::{Entries, Schema},
    store::{Batch, SideValue, Store, Ticket, encode_levels, encode_record},
};

/// Records that are encoded between two looks at the caller's patience.
const ENCODE_RECORDS: usize = 128;

type Outcome = std::result::Result<Acknowledged, RecordError>;

/// A record as it will be written.
struct Ready {
    position: usize,
    id: String,
    record: StoredRecord,
    prints: Option<Prints>,
    sides: Vec<(Side, SideValue)>,
    /// In the field indexes; known in the writer's turn.
    entries: Entries,
}

/// Writes a batch; one result per record, in order.
pub(crate) fn upsert(
    engine: &Engine,
    live: &LiveCollection,
    records: Vec<Record>,
    patience: &Patience,
) -> Result<Vec<Outcome>> {
    let (store, encoder) = (&engine.store, engine.encoder().as_ref());
    store.check_room(0)?;
    if records.len() > MAX_BATCH_RECORDS {
        let reason =
            format!("{} records, allowed are {MAX_BATCH_RECORDS}; split it", records.len());
        return Err(EngineError::invalid("records", reason));
    }
    let mut outcomes: Vec<Option<Outcome>> = records.iter().map(|_| None).collect();
    let mut ready = Vec::with_capacity(records.len());
    let mut records = records.into_iter().enumerate();
    loop {
        let chunk: Vec<(usize, Record)> = records.by_ref().take(ENCODE_RECORDS).collect();
        patience.check()?;
        if chunk.is_empty() {
            break;
        }
        for result in engine.bulk.run(chunk.len(), || encode_chunk(encoder, live, chunk))? {
            match result {
                Ok(record) => ready.push(record),
                Err(error) => {
                    let position = error.position;
                    outcomes[position] = Some(Err(error));
                }
            }
        }
    }
    if !ready.is_empty() {
        for (position, outcome) in commit(store, live, ready)? {
            outcomes[position] = Some(outcome);
        }
    }
    Ok(outcomes.into_iter().flatten().collect())
}

fn encode_chunk(
    encoder: &dyn Encoder,
    live: &LiveCollection,
    chunk: Vec<(usize, Record)>,
) -> Result<Vec<std::result::Result<Ready, RecordError>>> {
    let drafts: Vec<std::result::Result<Draft, RecordError>> = chunk
        .into_par_iter()
        .map(|(position, record)| prepare(encoder, position, record))
        .collect();
    let whole = || drafts.iter().filter_map(|draft| draft.as_ref().ok());
    let molecules: Vec<&Molecule> = whole().filter_map(|d| d.molecule.as_ref()).collect();
    let texts: Vec<&str> = whole().filter_map(|d| d.record.text.as_deref()).collect();
    let molecules = encode_all(&molecules, |items| encoder.encode_molecules(items))?;
    let texts = encode_all(&texts, |items| encoder.encode_texts(items))?;
    let (mut molecules, mut texts) = (molecules.into_iter(), texts.into_iter());
    let results = drafts.into_iter().map(|draft| {
        let draft = draft?;
        let molecule = draft.molecule.is_some().then(|| molecules.next()).flatten();
        let text = draft.record.text.is_some().then(|| texts.next()).flatten();
        let sides = [(Side::Molecule, molecule), (Side::Text, text)];
        finish(live, draft, sides)
    });
    Ok(results.collect())
}

/// Encodes a batch; where the encoder names an item at fault, each item is encoded alone.
fn encode_all<T: Copy>(
    items: &[T],
    encode: impl Fn(&[T]) -> std::result::Result<Vec<Encoding>, EncoderError>,
) -> Result<Vec<std::result::Result<Encoding, String>>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut encodings = Vec::with_capacity(items.len());
    match encode(items) {
        Ok(all) => encodings.extend(all.into_iter().map(Ok)),
        Err(EncoderError::Text { .. } | EncoderError::Molecule { .. }) => {
            for item in items {
                match encode(&[*item]) {
                    Ok(all) => encodings.extend(all.into_iter().map(Ok)),
                    Err(error @ (EncoderError::Text { .. } | EncoderError::Molecule { .. })) => {
                        encodings.push(Err(encoder_reason(error)));
                    }
                    Err(other) => return Err(other.into()),
                }
            }
        }
        Err(other) => return Err(other.into()),
    }
    if encodings.len() == items.len() {
        return Ok(encodings);
    }
    let reason = format!("{} encodings for {} items", encodings.len(), items.len());
    Err(EncoderError::Config(reason).into())
}

/// Turns encodings into the bytes to be written, so that they need not be kept.
fn finish(
    live: &LiveCollection,
    draft: Draft,
    sides: [(Side, Option<std::result::Result<Encoding, String>>); 2],
) -> std::result::Result<Ready, RecordError> {
    let Draft { position, record, prints, .. } = draft;
    let mut values = Vec::with_capacity(2);
    for (side, encoding) in sides {
        let Some(encoding) = encoding else { continue };
        let value = encoding.and_then(|encoding| side_value(live, side, encoding));
        let fault =
            |reason| RecordError { position, id: shown(&record.id), field: side.name(), reason };
        values.push((side, value.map_err(fault)?));
    }
    let (id, entries) = (record.id.clone(), Vec::new());
    Ok(Ready { position, id, record, prints, sides: values, entries })
}

fn side_value(
    live: &LiveCollection,
    side: Side,
    encoding: Encoding,
) -> std::result::Result<SideValue, String> {
    live.index(side).check(&encoding.global).map_err(|error| error.to_string())?;
    levels::check(&encoding, live.info.part_dim)?;
    let levels = encode_levels(&encoding.fragments, &encoding.tokens);
    Ok(SideValue { vector: encoding.global, levels })
}

/// The writer's turn: store first, then the index. Of records with one identifier the last stands.
fn commit(
    store: &Store,
    live: &LiveCollection,
    ready: Vec<Ready>,
) -> Result<Vec<(usize, Outcome)>> {
    let mut writer = live.writer()?;
    check_room(live, ready.len())?;
    let schema = live.fields.schema();
    let (ready, misfits) = fit(&schema, ready);
    let last: HashMap<&str, usize> =
        ready.iter().map(|record| (record.id.as_str(), record.position)).collect();
    let standing: Vec<&Ready> =
        ready.iter().filter(|record| last[record.id.as_str()] == record.position).collect();
    let ids = standing.iter().map(|record| record.id.as_str());
    let replaced = store.view().versions(live.number, ids)?;
    let gone = entries_of(store, live, &schema, &replaced)?;
    let (versions, ticket) = write(store, live, &mut writer, &standing, (&replaced, &gone))?;
    let created = replaced.iter().filter(|old| old.is_none()).count() as u64;
    for ((record, version), old) in standing.iter().zip(versions).zip(&replaced) {
        for (side, value) in &record.sides {
            live.index(*side).insert(version, &value.vector)?;
        }
        live.prints.push(version, record.prints.as_ref())?;
        live.fields.insert(version);
        if let Some(old) = old {
            live.forget(*old);
        }
    }
    live.add_records(created);
    drop(writer);
    store.wait_for_sync(ticket)?;
    let known: HashMap<&str, bool> =
        standing.iter().zip(&replaced).map(|(r, old)| (r.id.as_str(), old.is_some())).collect();
    let acknowledged = acknowledge(&ready, known).into_iter();
    Ok(acknowledged.map(|(position, done)| (position, Ok(done))).chain(misfits).collect())
}

/// Finds what each record has in the field indexes; a record with a value of another type is not written.
fn fit(schema: &Schema, ready: Vec<Ready>) -> (Vec<Ready>, Vec<(usize, Outcome)>) {
    let (mut fitting, mut misfits) = (Vec::with_capacity(ready.len()), Vec::new());
    for mut record in ready {
        match schema.entries(&record.record) {
            Ok(entries) => {
                record.entries = entries;
                fitting.push(record);
            }
            Err(reason) => {
                let (position, id) = (record.position, shown(&record.id));
                let error = RecordError { position, id, field: "payload", reason };
                misfits.push((position, Err(error)));
            }
        }
    }
    (fitting, misfits)
}

/// What versions have in the field indexes; a record had the right types when it was written.
pub(crate) fn entries_of(
    store: &Store,
    live: &LiveCollection,
    schema: &Schema,
    versions: &[Option<u64>],
) -> Result<Vec<Entries>> {
    let there: Vec<u64> = versions.iter().flatten().copied().collect();
    if schema.indexes().is_empty() || there.is_empty() {
        return Ok(vec![Vec::new(); versions.len()]);
    }
    let mut records = store.view().records(live.number, &there)?.into_iter();
    let entries = versions.iter().map(|version| {
        let record = version.and_then(|_| records.next().flatten());
        record.map_or_else(Vec::new, |record| schema.present_entries(&record))
    });
    Ok(entries.collect())
}

/// One batch with everything: durable, or with a ticket to wait for.
fn write(
    store: &Store,
    live: &LiveCollection,
    writer: &mut Writer,
    records: &[&Ready],
    (replaced, gone): (&[Option<u64>], &[Entries]),
) -> Result<(Vec<u64>, Option<Ticket>)> {
    let mut batch = Batch::new(store);
    let mut versions = Vec::with_capacity(records.len());
    for ((record, old), gone) in records.iter().zip(replaced).zip(gone) {
        let version = writer.take_version();
        batch.put_record(live.number, &record.id, version, &encode_record(&record.record))?;
        batch.put_entries(live.number, version, &record.entries)?;
        if let Some(prints) = &record.prints {
            batch.put_prints(live.number, version, prints)?;
        }
        for (side, value) in &record.sides {
            batch.put_side(live.number, *side, version, value)?;
        }
        if let Some(old) = old {
            batch.remove_version(live.number, *old)?;
            batch.remove_entries(live.number, *old, gone)?;
        }
        versions.push(version);
    }
    store.check_room(batch.bytes())?;
    live.add_written(batch.bytes());
    let ticket = batch.write_in_turn(live.info.config.durability)?;
    Ok((versions, ticket))
}

fn check_room(live: &LiveCollection, records: usize) -> Result<()> {
    for side in Side::ALL {
        let index = live.index(side);
        if index.room() < records {
            return Err(IndexError::Full { capacity: index.config().capacity }.into());
        }
    }
    Ok(())
}

/// `known` says of each identifier whether a record had it before.
fn acknowledge(ready: &[Ready], mut known: HashMap<&str, bool>) -> Vec<(usize, Acknowledged)> {
    let mut acknowledged = Vec::with_capacity(ready.len());
    for record in ready {
        // A second record of the same identifier replaces the first.
        let before = known.get_mut(record.id.as_str()).map(|known| std::mem::replace(known, true));
        let outcome = match before {
            Some(true) => UpsertOutcome::Replaced,
            _ => UpsertOutcome::Created,
        };
        acknowledged.push((record.position, Acknowledged { id: record.id.clone(), outcome }));
    }
    acknowledged
}
