//! Collections, their settings and their sizes.

use moiety_engine::{
    CollectionConfig, CollectionInfo, CollectionStats, Durability, HnswParams, IndexSpec, Metric,
    Readiness, SideStats,
};
use moiety_proto::v1 as wire;

use super::{ConvertError, index_from_wire, index_to_wire, known_enum};

/// What a new collection should be, with defaults where the client left them.
pub fn config_from_wire(
    config: Option<wire::CollectionConfig>,
    field: &str,
) -> Result<CollectionConfig, ConvertError> {
    let config = config.ok_or_else(|| ConvertError::Missing {
        field: field.into(),
        remedy: "send at least the name of the collection",
    })?;
    Ok(CollectionConfig {
        metric: metric_from_wire(config.metric, &format!("{field}.metric"))?,
        hnsw: hnsw_from_wire(config.hnsw.unwrap_or_default()),
        durability: durability_from_wire(config.durability, &format!("{field}.durability"))?,
        indexes: indexes_from_wire(config.indexes, &format!("{field}.indexes"))?,
        name: config.name,
    })
}

/// A collection as it is.
pub fn collection_to_wire(info: CollectionInfo) -> wire::Collection {
    let CollectionConfig { name, metric, hnsw, durability, indexes } = info.config;
    let config = wire::CollectionConfig {
        name,
        metric: metric_to_wire(metric).into(),
        hnsw: Some(wire::HnswParameters {
            m: hnsw.m as u32,
            ef_construction: hnsw.ef_construction as u32,
            ef_search: hnsw.ef_search as u32,
        }),
        durability: durability_to_wire(durability).into(),
        indexes: indexes.into_iter().map(index_to_wire).collect(),
    };
    wire::Collection {
        config: Some(config),
        model_name: info.model,
        model_fingerprint: info.fingerprint,
        global_dimension: info.global_dim as u32,
        part_dimension: info.part_dim as u32,
        format_version: info.format_version,
        normalisation_rule: info.normalisation_rule,
        server_normalisation_rule: moiety_engine::NORMALISATION_RULE,
    }
}

/// Counts and sizes; the caller adds how the answer came to be.
pub fn stats_to_wire(stats: &CollectionStats) -> wire::CollectionStatsResponse {
    wire::CollectionStatsResponse {
        records: stats.records,
        molecules: Some(side_to_wire(stats.molecules)),
        texts: Some(side_to_wire(stats.texts)),
        fingerprint_bytes: stats.fingerprint_bytes,
        disk_bytes: stats.disk_bytes,
        readiness: readiness_to_wire(stats.readiness).into(),
        unsaved: stats.unsaved.clone(),
        info: None,
    }
}

fn side_to_wire(side: SideStats) -> wire::SideStats {
    wire::SideStats {
        vectors: side.vectors,
        tombstones: side.tombstones,
        linked: side.linked,
        memory_bytes: side.memory_bytes,
        vector_bytes: side.vector_bytes,
    }
}

fn readiness_to_wire(readiness: Readiness) -> wire::Readiness {
    match readiness {
        Readiness::OnDisk => wire::Readiness::OnDisk,
        Readiness::Loading => wire::Readiness::Loading,
        Readiness::Linking => wire::Readiness::Linking,
        Readiness::Ready => wire::Readiness::Ready,
    }
}

fn indexes_from_wire(
    indexes: Vec<wire::FieldIndex>,
    field: &str,
) -> Result<Vec<IndexSpec>, ConvertError> {
    let indexes = indexes.into_iter().enumerate();
    indexes.map(|(i, index)| index_from_wire(index, &format!("{field}[{i}]"))).collect()
}

/// Bounds are the engine's business; zero stands for its default.
fn hnsw_from_wire(hnsw: wire::HnswParameters) -> HnswParams {
    let default = HnswParams::default();
    let or = |value: u32, default: usize| if value == 0 { default } else { value as usize };
    HnswParams {
        m: or(hnsw.m, default.m),
        ef_construction: or(hnsw.ef_construction, default.ef_construction),
        ef_search: or(hnsw.ef_search, default.ef_search),
    }
}

fn metric_from_wire(value: i32, field: &str) -> Result<Metric, ConvertError> {
    match known_enum::<wire::Metric>(value) {
        Some(wire::Metric::Unspecified) => Ok(Metric::default()),
        Some(wire::Metric::Cosine) => Ok(Metric::Cosine),
        Some(wire::Metric::Dot) => Ok(Metric::Dot),
        None => Err(ConvertError::UnknownEnum {
            field: field.into(),
            value,
            known: "METRIC_COSINE, METRIC_DOT",
        }),
    }
}

fn metric_to_wire(metric: Metric) -> wire::Metric {
    match metric {
        Metric::Cosine => wire::Metric::Cosine,
        Metric::Dot => wire::Metric::Dot,
    }
}

fn durability_from_wire(value: i32, field: &str) -> Result<Durability, ConvertError> {
    match known_enum::<wire::Durability>(value) {
        Some(wire::Durability::Unspecified) => Ok(Durability::default()),
        Some(wire::Durability::Fsync) => Ok(Durability::Fsync),
        Some(wire::Durability::Grouped) => Ok(Durability::Grouped),
        Some(wire::Durability::Wal) => Ok(Durability::Wal),
        None => Err(ConvertError::UnknownEnum {
            field: field.into(),
            value,
            known: "DURABILITY_FSYNC, DURABILITY_GROUPED, DURABILITY_WAL",
        }),
    }
}

fn durability_to_wire(durability: Durability) -> wire::Durability {
    match durability {
        Durability::Fsync => wire::Durability::Fsync,
        Durability::Grouped => wire::Durability::Grouped,
        Durability::Wal => wire::Durability::Wal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_settings_become_defaults() {
        let config = wire::CollectionConfig { name: "demo".into(), ..Default::default() };
        let config = config_from_wire(Some(config), "config").unwrap();
        assert_eq!(config, CollectionConfig::named("demo"));
    }

    #[test]
    fn unknown_metric_and_durability_are_refused() {
        for (metric, durability, field) in [(9, 0, "config.metric"), (1, -1, "config.durability")] {
            let config = wire::CollectionConfig { metric, durability, ..Default::default() };
            assert_eq!(config_from_wire(Some(config), "config").unwrap_err().field(), field);
        }
        assert_eq!(config_from_wire(None, "config").unwrap_err().field(), "config");
    }
}
