#!/usr/bin/env bash
# Runs a program of this folder in a Python environment with the peers' packages, made on the first run.
#
#   benches/peers/run.sh PROGRAM ARGUMENTS...
#
# hnswlib is compiled on the way: it needs python3-dev and a C++ compiler.
set -euo pipefail
peers="$(cd "$(dirname "$0")" && pwd)"
here="$PWD"
source "$peers/../../scripts/environment.sh"
python="$(scripts/python_env.sh "$target/python-peers" "$peers/requirements.txt")"
cd "$here"
exec "$python" "$peers/$1" "${@:2}"
