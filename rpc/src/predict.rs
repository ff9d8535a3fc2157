//! Prediction: the one method of the `Encoder` service that asks heads.

use moiety_engine::{Engine, Patience};
use moiety_proto::v1 as wire;
use tonic::Status;

use crate::{
    convert::{check_count, prediction_to_wire},
    edge::Clock,
    encoder::{Taken, item_error},
    limits::MAX_ENCODE,
    status::engine_status,
};

/// Answers one request; items that cannot be read come back as errors.
pub(crate) fn predict(
    engine: &Engine,
    request: wire::PredictRequest,
    clock: &Clock,
    patience: &Patience,
) -> Result<wire::PredictResponse, Status> {
    check_count(request.molecules.len(), MAX_ENCODE, "molecules")?;
    let Taken { structures, positions, mut errors } = Taken::new(request.molecules);
    let predicted = engine
        .predict(&structures, &request.heads, patience)
        .map_err(|error| engine_status(&error))?;
    let mut items = Vec::with_capacity(structures.len());
    for (position, item) in positions.into_iter().zip(predicted.items) {
        match item {
            Ok(predictions) => {
                let by_head = predicted.heads.iter().zip(&predictions);
                let predictions = by_head.map(|(head, p)| prediction_to_wire(head, p)).collect();
                items.push(wire::PredictedItem { position: position as u32, predictions });
            }
            Err(error) => {
                errors.push(item_error(position, &error, wire::ItemErrorCode::InvalidMolecule));
            }
        }
    }
    errors.sort_by_key(|error| error.position);
    Ok(wire::PredictResponse { items, errors, info: clock.info(engine, Vec::new()) })
}
