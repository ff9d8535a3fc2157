//! Wire ↔ engine, as free functions: the orphan rule forbids `TryFrom` between two foreign types.
//!
//! What comes in is checked here as far as the wire goes (presence, enums, dtypes, counts); what it means is checked by
//! the engine. Every error names the path of the field, the way a client wrote it.

mod collection;
mod encoding;
mod error;
mod field_index;
mod filter;
mod filter_plan;
mod generate;
mod payload;
mod predict;
mod query;
mod record;
mod snapshot;
mod vector;

pub use collection::{collection_to_wire, config_from_wire, stats_to_wire};
pub use encoding::{asked_detail, encoding_to_wire, extent_to_wire};
pub use error::ConvertError;
pub use field_index::{index_from_wire, index_status_to_wire, index_to_wire};
pub use filter::filter_from_wire;
pub use filter_plan::{filter_explanation_to_wire, filter_plan_to_wire};
pub use generate::{
    generate_options_from_wire, generated_molecule_to_wire, generated_text_to_wire,
};
pub use payload::{payload_from_wire, payload_to_wire};
pub use predict::{head_to_wire, prediction_to_wire};
pub use query::{
    RerankDefaults, explain_from_wire, explanation_to_wire, hit_to_wire, query_from_wire,
    search_stages,
};
pub use record::{record_from_wire, stored_record_to_wire, structure_from_wire};
pub use snapshot::{
    part_from_wire, part_to_wire, snapshot_info_to_wire, snapshot_to_wire, usage_to_wire,
};
pub use vector::{asked_dtype, matrix_to_wire, vector_from_wire, vector_to_wire};

/// The enum value of a number, if this server knows it.
fn known_enum<E: TryFrom<i32>>(value: i32) -> Option<E> {
    E::try_from(value).ok()
}

/// A count that must be from 1 to `most`.
pub(crate) fn check_count(found: usize, most: usize, field: &str) -> Result<(), ConvertError> {
    if (1..=most).contains(&found) {
        return Ok(());
    }
    let remedy = if found == 0 { "give at least one" } else { "split it into several requests" };
    Err(ConvertError::OutOfRange {
        field: field.into(),
        found: format!("{found} items long"),
        bounds: format!("from 1 to {most} items long; {remedy}"),
    })
}

/// A number up to `most`, where zero stands for `default`.
pub(crate) fn check_limit(
    found: u32,
    default: u32,
    most: u32,
    field: &str,
) -> Result<usize, ConvertError> {
    match found {
        0 => Ok(default as usize),
        _ if found <= most => Ok(found as usize),
        _ => Err(ConvertError::OutOfRange {
            field: field.into(),
            found: found.to_string(),
            bounds: format!("at most {most}; zero asks for {default}"),
        }),
    }
}
