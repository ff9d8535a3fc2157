//! Compiles the .proto files to Rust and to a descriptor set for reflection, in pure Rust: no `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 11] = [
    "moiety/v1/admin.proto",
    "moiety/v1/answer.proto",
    "moiety/v1/collections.proto",
    "moiety/v1/encoder.proto",
    "moiety/v1/filter.proto",
    "moiety/v1/generate.proto",
    "moiety/v1/predict.proto",
    "moiety/v1/record.proto",
    "moiety/v1/records.proto",
    "moiety/v1/search.proto",
    "moiety/v1/vector.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("moiety_descriptor.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
