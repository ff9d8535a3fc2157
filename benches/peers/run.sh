#!/usr/bin/env bash
# Runs a program of this folder in a Python environment with the peers' packages, made on the first run.
#
#   benches/peers/run.sh PROGRAM ARGUMENTS...
#
# A program with a requirements file of its own name has an environment of its own. hnswlib is compiled on the way: it needs
# python3-dev and a C++ compiler.
set -euo pipefail
peers="$(cd "$(dirname "$0")" && pwd)"
here="$PWD"
source "$peers/../../scripts/environment.sh"
requirements="$peers/requirements.txt" environment="python-peers"
if [ -f "$peers/${1%.py}.txt" ]; then
    requirements="$peers/${1%.py}.txt" environment="python-${1%.py}"
fi
python="$(scripts/python_env.sh "$target/$environment" "$requirements")"
cd "$here"
exec "$python" "$peers/$1" "${@:2}"
