#!/usr/bin/env bash
# Compares how this program and RDKit read the structures of files, and lists every difference.
#
#   scripts/rdkit_compare.sh [--rdkit-data] FILE…    FILE: SMILES, InChI or mol blocks (.smi, .inchi, .mol, .sdf; gzipped or not)
#
# --rdkit-data takes the files of structures that RDKit's package brings. RDKit comes from PyPI into the target directory, once.
set -euo pipefail
source "$(dirname "$0")/environment.sh"

python="$(scripts/python_env.sh "$target/python-rdkit" scripts/rdkit_requirements.txt)" ||
    fail "cannot install scripts/rdkit_requirements.txt from PyPI; is there a network?"
cargo build --quiet --workspace --example identities
exec "$python" scripts/rdkit_compare.py "$target/debug/examples/identities" "$@"
