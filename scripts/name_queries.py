#!/usr/bin/env python3
"""Makes a query set of names for `moiety eval --queries OUT/queries.jsonl --targets OUT/targets.jsonl`.

    scripts/name_queries.py DATA OUT

The targets are all molecules of `names/massbank_names.jsonl.gz` of the data directory, the queries the first name of a thousand of them,
drawn with a seed.
"""

import gzip
import json
import random
import sys
from pathlib import Path

QUERIES, SEED = 1000, 3


def main():
    data, out = map(Path, sys.argv[1:3])
    with gzip.open(data / "names/massbank_names.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    molecules = {}
    for row in rows:
        if row["names"]:
            molecules.setdefault(row["ik"], row)
    drawn = random.Random(SEED).sample(list(molecules.values()), QUERIES)
    readable = [row for row in molecules.values() if row["smi"] and row["ik"]]
    out.mkdir(parents=True, exist_ok=True)
    with open(out / "targets.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"id": row["ik"], "smiles": row["smi"]}) + "\n" for row in readable)
    with open(out / "queries.jsonl", "w", encoding="utf-8") as file:
        named = [row for row in drawn if row["smi"] and row["ik"]]
        file.writelines(json.dumps({"id": row["ik"], "text": row["names"][0]}) + "\n" for row in named)
    print(f"{len(named)} names, {len(readable)} molecules in {out}")


if __name__ == "__main__":
    main()
