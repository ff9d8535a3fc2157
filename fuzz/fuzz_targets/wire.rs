//! Messages of the wire and their conversion to the engine's types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use moiety_rpc::{RerankDefaults, convert, wire};
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = wire::Record::decode(bytes) {
        let _ = convert::record_from_wire(record, "record");
    }
    if let Ok(filter) = wire::Filter::decode(bytes) {
        let _ = convert::filter_from_wire(filter, "filter");
    }
    if let Ok(query) = wire::QueryRequest::decode(bytes) {
        let _ = convert::query_from_wire(query, &RerankDefaults::default());
    }
    if let Ok(config) = wire::CollectionConfig::decode(bytes) {
        let _ = convert::config_from_wire(Some(config), "config");
    }
    if let Ok(part) = wire::SnapshotPart::decode(bytes) {
        let _ = convert::part_from_wire(part);
    }
});
