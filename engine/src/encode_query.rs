//! A query on its way in: read, then encoded, or taken from the store.

use moiety_chem::{Molecule, Structure};
use moiety_encoder::{Encoder, EncoderError, Encoding};
use moiety_index::IndexError;

use crate::{
    Query, Side,
    error::{EngineError, Result},
    levels::{self, Levels},
    limits::{MAX_STRUCTURE_BYTES, MAX_TEXT_BYTES},
    live::LiveCollection,
    store::Store,
};

/// A query that was read but not encoded.
pub(crate) enum Parsed<'a> {
    Text(&'a str),
    Molecule(Box<Molecule>),
    Vector(&'a [f32]),
    Id(&'a str, Side),
}

/// A query as it is compared.
pub(crate) struct Encoded {
    pub(crate) global: Vec<f32>,
    /// Empty for a bare vector.
    pub(crate) levels: Levels,
}

/// Checks sizes and reads a structure.
pub(crate) fn parse(query: &Query) -> Result<Parsed<'_>> {
    Ok(match query {
        Query::Text(text) => {
            check_bytes("query.text", text, MAX_TEXT_BYTES)?;
            Parsed::Text(text)
        }
        Query::Molecule(structure) => {
            let (Structure::Smiles(text) | Structure::Inchi(text) | Structure::MolBlock(text)) =
                structure;
            check_bytes("query.molecule", text, MAX_STRUCTURE_BYTES)?;
            let molecule = Molecule::parse(structure).map_err(EngineError::Structure)?;
            Parsed::Molecule(Box::new(molecule))
        }
        Query::Vector(vector) => Parsed::Vector(vector),
        Query::Id { id, side } => Parsed::Id(id, *side),
    })
}

/// The query's vectors.
pub(crate) fn encode(
    store: &Store,
    encoder: &dyn Encoder,
    live: &LiveCollection,
    query: &Parsed<'_>,
) -> Result<Encoded> {
    Ok(match query {
        Parsed::Text(text) => {
            encoder.check_text(text).map_err(refused("query.text"))?;
            single(encoder.encode_texts(&[text])?, live)?
        }
        Parsed::Molecule(molecule) => {
            encoder.check_molecule(molecule).map_err(refused("query.molecule"))?;
            single(encoder.encode_molecules(&[molecule])?, live)?
        }
        Parsed::Vector(vector) => {
            let refuse =
                |error: IndexError| EngineError::invalid("query.vector", error.to_string());
            live.index(Side::Molecule).check(vector).map_err(refuse)?;
            Encoded { global: vector.to_vec(), levels: Levels::default() }
        }
        Parsed::Id(id, side) => stored(store, live, id, *side)?,
    })
}

/// The vectors of one side of a stored record.
pub(crate) fn stored(
    store: &Store,
    live: &LiveCollection,
    id: &str,
    side: Side,
) -> Result<Encoded> {
    let view = store.view();
    let version = view.version(live.number, id)?.ok_or_else(|| EngineError::RecordNotFound {
        collection: live.info.config.name.clone(),
        id: id.to_owned(),
    })?;
    let vector = view.vector(live.number, side, version)?;
    let levels = view.levels(live.number, side, version)?;
    match (vector, levels) {
        (Some(global), Some(levels)) => Ok(Encoded { global, levels }),
        _ => Err(EngineError::SideMissing { id: id.to_owned(), side: side.name() }),
    }
}

fn single(encodings: Vec<Encoding>, live: &LiveCollection) -> Result<Encoded> {
    let broken = |reason: String| EngineError::from(EncoderError::Config(reason));
    let encoding = encodings.into_iter().next();
    let encoding = encoding.ok_or_else(|| broken("no encoding for the query".into()))?;
    levels::check(&encoding, live.info.part_dim).map_err(broken)?;
    let Encoding { global, fragments, tokens } = encoding;
    Ok(Encoded { global, levels: Levels { fragments: fragments.into(), tokens: tokens.into() } })
}

/// Names the field of a query that the encoder refuses.
fn refused(field: &str) -> impl Fn(EncoderError) -> EngineError {
    move |error| match error {
        EncoderError::Text { reason, .. } | EncoderError::Molecule { reason, .. } => {
            EngineError::invalid(field, format!("it {reason}"))
        }
        other => other.into(),
    }
}

fn check_bytes(field: &str, text: &str, most: usize) -> Result<()> {
    if text.len() <= most {
        return Ok(());
    }
    Err(EngineError::invalid(field, format!("it has {} bytes, allowed are {most}", text.len())))
}
