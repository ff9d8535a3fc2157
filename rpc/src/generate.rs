//! Captions and generation: the methods of the `Encoder` service that make the model write.
//!
//! Writing takes seconds where encoding takes milliseconds, so it has places of its own, fewer than the server's: however
//! many ask for it, the other calls find theirs.

use std::sync::Arc;

use moiety_engine::{Engine, ItemResult, Patience};
use moiety_proto::v1 as wire;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{
    convert::{
        check_count, generate_options_from_wire, generated_molecule_to_wire, generated_text_to_wire,
    },
    edge::Clock,
    encoder::{Taken, item_error},
    limits::MAX_WRITTEN,
    status::{busy_writing, engine_status},
};

/// The places where calls write.
pub(crate) struct Desks {
    free: Arc<Semaphore>,
    total: usize,
}

impl Desks {
    pub(crate) fn new(total: usize) -> Self {
        let total = total.max(1);
        Self { free: Arc::new(Semaphore::new(total)), total }
    }

    /// A place until it is dropped, or a refusal with a retry delay.
    pub(crate) fn take(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| busy_writing(self.total))
    }
}

/// Captions molecules; items that cannot be read come back as errors.
pub(crate) fn caption(
    engine: &Engine,
    request: wire::CaptionRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::CaptionResponse, Status> {
    check_count(request.molecules.len(), MAX_WRITTEN, "molecules")?;
    let options = generate_options_from_wire(request.options, "options")?;
    let Taken { structures, positions, mut errors } = Taken::new(request.molecules);
    let written = engine
        .caption_within(&structures, &options, patience)
        .map_err(|error| engine_status(&error))?;
    let code = wire::ItemErrorCode::InvalidMolecule;
    let items = apart(positions.into_iter().zip(written), &mut errors, code, |position, texts| {
        let captions = texts.into_iter().map(generated_text_to_wire).collect();
        wire::CaptionedItem { position, captions }
    });
    Ok(wire::CaptionResponse { items, errors, info: clock.info(engine, Vec::new()) })
}

/// Writes molecules for texts; items that cannot be read come back as errors.
pub(crate) fn generate(
    engine: &Engine,
    request: wire::GenerateRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::GenerateResponse, Status> {
    check_count(request.texts.len(), MAX_WRITTEN, "texts")?;
    let options = generate_options_from_wire(request.options, "options")?;
    let written = engine
        .generate_within(&request.texts, &options, patience)
        .map_err(|error| engine_status(&error))?;
    let (mut errors, code) = (Vec::new(), wire::ItemErrorCode::InvalidText);
    let items = apart(written.into_iter().enumerate(), &mut errors, code, |position, molecules| {
        let molecules = molecules.into_iter().map(generated_molecule_to_wire).collect();
        wire::GeneratedItem { position, molecules }
    });
    Ok(wire::GenerateResponse { items, errors, info: clock.info(engine, Vec::new()) })
}

/// What was written for each item that could be read; the others join `errors`, by position.
fn apart<T, I>(
    written: impl Iterator<Item = (usize, ItemResult<T>)>,
    errors: &mut Vec<wire::ItemError>,
    code: wire::ItemErrorCode,
    item: impl Fn(u32, T) -> I,
) -> Vec<I> {
    let mut items = Vec::new();
    for (position, outcome) in written {
        match outcome {
            Ok(made) => items.push(item(position as u32, made)),
            Err(error) => errors.push(item_error(position, &error, code)),
        }
    }
    errors.sort_by_key(|error| error.position);
    items
}
