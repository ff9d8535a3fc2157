#!/usr/bin/env bash
# Installs what is missing, builds, loads the demo library and asks it seven questions over gRPC.
#
#   scripts/demo.sh [--serve]    with --serve it goes on serving on 127.0.0.1:7400
#
# From nothing that takes some sixteen minutes on two cores, by scripts/clean_root.sh; later builds take what has changed.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

scripts/setup.sh build
say "building into $target"
# All rooms are selected, so that this build and the tests' are one.
cargo build --workspace --bin moiety
say "moiety demo"
exec "$target/debug/moiety" demo "$@"
