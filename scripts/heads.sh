#!/usr/bin/env bash
# Fits the property heads that ship again, for the encoder as it is now. Run it whenever models/moiety-mini changes: heads
# belong to one fingerprint, and a server leaves those of another out. A few minutes on two quiet cores.
#
#   scripts/heads.sh DATA [MODEL]    DATA: directory of the MoleculeNet files; MODEL: models/moiety-mini unless given
set -euo pipefail
data="$(realpath "${1:?usage: scripts/heads.sh DATA [MODEL]}")"
model="$(realpath "${2:-$(dirname "$0")/../models/moiety-mini}")"
source "$(dirname "$0")/environment.sh"

say "building into $target"
cargo build --workspace --bin moiety
run="$(mktemp -d)"
trap 'rm -rf "$run"' EXIT
say "fitting heads on $model"
"$target/debug/moiety" train --recipe property --shipped --model "$model" --data "$data" --out "$run"
# Validation cannot tell the heads of esol with the encoder from those without (they differ by less than a deviation between seeds),
# and the simpler one ships.
"$target/debug/moiety" train --recipe property --config configs/property-descriptors.json --set esol --model "$model" \
    --data "$data" --out "$run/esol"
mkdir -p "$model/heads"
rm -rf "$model"/heads/*/
cp -r "$run"/heads/*/ "$run"/esol/heads/*/ "$model/heads/"
say "heads of $model are new: write the rows above into heads/README.md, look at the cards, and commit"
