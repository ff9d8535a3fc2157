#!/usr/bin/env bash
# Builds `moiety` with its `cuda` feature, on a machine with or without a GPU, and says what the machine that runs it needs.
#
#   scripts/cuda.sh DIRECTORY [COMPUTE_CAPABILITY]
#
# DIRECTORY receives the stripped program and `moiety-encoder-tests`, which runs the tensor operations on the GPU beside the
# CPU. The compute capability is that of the oldest GPU it shall run on: 80 for A100, 89 for L40, 90 (the default) for H100
# and H200.
#
# The compiler of CUDA 13.0 comes from PyPI and lies in the user's cache afterwards; an own toolkit is taken where CUDA_HOME
# says so. Of the libraries that are linked, only names are needed here: they are replaced by empty ones of the same name, and
# the real ones (libcuda, libcudart, libcublas, libcublasLt, libcurand, libnvrtc) are found where the program runs.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

directory="${1:?usage: scripts/cuda.sh DIRECTORY [COMPUTE_CAPABILITY]}"
mkdir -p "$directory"
directory="$(cd "$directory" && pwd)"

fetch_toolkit() {
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/moiety/cuda-13.0" wheels
    export CUDA_HOME="$cache/nvidia/cu13"
    [ -e "$cache/complete" ] && return
    say "fetching the compiler of CUDA 13.0 into $cache"
    wheels="$(mktemp -d)"
    python3 -m pip download --quiet --no-deps --dest "$wheels" nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 \
        nvidia-nvvm==13.0.88 nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
    mkdir -p "$cache"
    for wheel in "$wheels"/*.whl; do python3 -m zipfile -e "$wheel" "$cache"; done
    rm -r "$wheels"
    chmod +x "$CUDA_HOME"/bin/* "$CUDA_HOME"/nvvm/bin/*
    ln -sf libcudart.so.13 "$CUDA_HOME/lib/libcudart.so"
    touch "$cache/complete"
}

# An empty function for every name that cudarc declares of a library: enough for the linker.
write_stub() {
    local room="$1" library="$2" so_name="$3" sources stubs="$CUDA_HOME/lib/stubs"
    sources=("${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$(cudarc)"/src/"$room"/sys/mod.rs)
    [ -e "$stubs/lib$library.so" ] && return
    mkdir -p "$stubs"
    grep -ohP 'pub unsafe fn \K\w+' "${sources[@]}" | sort -u | sed 's/.*/void &(void) {}/' |
        cc -shared -x c -o "$stubs/lib$library.so" -Wl,-soname,"$so_name" -
}

cudarc() { sed -n '/^name = "cudarc"$/{n;s/version = "\(.*\)"/cudarc-\1/p}' Cargo.lock; }

[ -n "${CUDA_HOME:-}" ] || fetch_toolkit
export CUDA_HOME PATH="$CUDA_HOME/bin:$PATH" CUDA_COMPUTE_CAP="${2:-90}"
# A room of its own: with another set of features every crate above candle is built again.
export CARGO_TARGET_DIR="${MOIETY_CUDA_TARGET_DIR:-$target/cuda}"

cargo fetch --quiet --locked
major="$(nvcc --version | sed -n 's/.*release \([0-9]*\)\..*/\1/p')"
write_stub driver cuda libcuda.so.1
write_stub cublas cublas "libcublas.so.$major"
write_stub cublaslt cublasLt "libcublasLt.so.$major"
write_stub curand curand libcurand.so.10
write_stub nvrtc nvrtc "libnvrtc.so.$major"

say "building for compute capability $CUDA_COMPUTE_CAP with $(nvcc --version | sed -n 's/.*release \([0-9.]*\).*/CUDA \1/p')"
# All rooms are selected, so that RocksDB is built with the features that every other build uses.
cargo build --locked --workspace --bin moiety --features moiety-cli/cuda
tests="$(cargo test --locked --workspace --lib --features moiety-cli/cuda --no-run --message-format=json |
    sed -n 's/.*"executable":"\([^"]*moiety_encoder[^"]*\)".*/\1/p')"
strip -o "$directory/moiety" "$CARGO_TARGET_DIR/debug/moiety"
strip -o "$directory/moiety-encoder-tests" "$tests"

say "$directory/moiety and $directory/moiety-encoder-tests are ready. They load, where they run:"
readelf -d "$directory/moiety" | sed -n 's/.*NEEDED.*\[\(.*\)\]/  \1/p'
