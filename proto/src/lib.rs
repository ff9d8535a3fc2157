//! Moiety's wire contract: the `moiety.v1` package, generated from `proto/moiety/v1/*.proto`.
//!
//! It holds messages, clients and server traits, and the descriptors that reflection serves. It has no behaviour of its
//! own: what a message means to the engine is decided in the `rpc` room.
//!
//! ```
//! use moiety_proto::v1;
//!
//! let query = v1::Query { asked: Some(v1::query::Asked::Text("a yellow dye".into())) };
//! let request = v1::QueryRequest {
//!     collection: "demo".into(),
//!     query: Some(query),
//!     target: v1::Side::Molecule.into(),
//!     ..Default::default()
//! };
//! assert_eq!(request.limit, 0, "zero asks for the server's default");
//! ```

/// The first version of the wire contract.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
pub mod v1 {
    tonic::include_proto!("moiety.v1");
}

/// The encoded `google.protobuf.FileDescriptorSet` of the package and of what it imports.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/moiety_descriptor.bin"));

#[cfg(test)]
mod tests {
    use prost::Message;

    #[test]
    fn descriptor_set_names_every_service() {
        let set = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
        let mut services: Vec<_> =
            set.file.iter().flat_map(|file| &file.service).map(|service| service.name()).collect();
        services.sort_unstable();
        assert_eq!(services, ["Admin", "Collections", "Encoder", "Records", "Search"]);
    }

    #[test]
    fn every_enum_begins_with_unspecified() {
        let set = prost_types::FileDescriptorSet::decode(super::FILE_DESCRIPTOR_SET).unwrap();
        let ours = set.file.iter().filter(|file| file.package() == "moiety.v1");
        for kind in ours.flat_map(|file| &file.enum_type) {
            let first = &kind.value[0];
            assert_eq!(first.number(), 0, "{}", kind.name());
            assert!(first.name().ends_with("_UNSPECIFIED"), "{}", first.name());
        }
    }
}
