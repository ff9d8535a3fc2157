#!/usr/bin/env bash
# Makes a Python environment with the packages of a requirements file, once, and prints its interpreter.
#
#   scripts/python_env.sh DIRECTORY REQUIREMENTS
set -euo pipefail

directory="$1" requirements="$2"
if ! cmp -s "$requirements" "$directory/requirements.txt"; then
    rm -rf "$directory"
    python3 -m venv "$directory" >&2
    "$directory/bin/pip" install --quiet --disable-pip-version-check -r "$requirements" >&2
    cp "$requirements" "$directory/requirements.txt"
fi
echo "$directory/bin/python"
