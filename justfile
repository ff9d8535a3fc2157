# Long forms of what the test suite does for a few seconds, and the tables of the documents.

target := env_var_or_default("CARGO_TARGET_DIR", "target")

# A server and an embedded engine, killed N times each while they write
crash n="1000":
    MOIETY_CRASH_ROUNDS={{n}} cargo test --workspace --test crash -- --nocapture

# Random sequences of calls, snapshots, restores and crashes beside a map, for so many minutes
soak minutes="60":
    #!/usr/bin/env bash
    set -euo pipefail
    end=$((SECONDS + 60 * {{minutes}}))
    while [ $SECONDS -lt $end ]; do
        MOIETY_MODEL_CASES=500 cargo test --workspace --test model
    done

# Throughput, latency and refusals of a server under load, at its capacity and beyond
bench-load connections="8" seconds="10": (_example "load" connections seconds)

# Searches beside an import: p50 and p99 on an idle server and beside it, in turns
bench-load-import *args: (_example "load_import" args)

# Time to the first answer after an open, with and without the graph on the disk, and bytes by component
bench-open *args="200000": (_example "open_table" args)

# Recall and speed of the graph, by width, beside hnswlib, usearch and faiss; the table of a million is in benches/README.md
bench-recall *options: (_example "recall_table" options)

# Recall after half of the vectors were replaced, beside a fresh graph and peers
bench-churn *options: (_example "churn_table" options)

# Tanimoto search beside FPSim2 and the memory's own speed
bench-tanimoto molecules: (_example "tanimoto_table" molecules)

# Import, opening, memory, search and filters beside Chroma and LanceDB
bench-database *options: (_example "database_table" options)

# Import of many SMILES, then queries in words by stage
bench-scale molecules queries *options: (_example "scale_table" molecules queries options)

# Filtered search: recall, plan and time at several selectivities
bench-filter molecules queries *options: (_example "filter_table" molecules queries options)

# Rerank by fragments and tokens: bytes a record, and time beside a plain sum of the bytes, floats and NumPy; or with files of
# molecules and queries, see benches/README.md
bench-rerank *files: (_example "rerank_table" files)

# The text tower beside ONNX Runtime, in batches and one text alone; `--texts FILE` for texts of your own, one a line
bench-encode *options: (_example "encode_table" options)

# One fuzz target for so many seconds; needs a nightly compiler and cargo-fuzz, see fuzz/README.md
fuzz target seconds="600":
    cd fuzz && cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}}

# Examples are built with the whole workspace, as tests are, so that neither is compiled twice
_example name *args:
    cargo build --workspace --example {{name}}
    {{target}}/debug/examples/{{name}} {{args}}
