#!/usr/bin/env python3
"""Puts together the pairs that moiety-mini's feature tables are trained on, and prints their number and the digest of the file.

    scripts/training_pairs.py DATA OUT.jsonl.gz [--seed 17]

DATA is the data directory that the model's card lists. The rows are those of `pairs/pairs.jsonl.gz` as they are, and after them:

- captions: `chebi/captions_original`, each with its name in front in one of two, and captions made from relations
  (`captions_from_relations`, `captions_by_name`) of molecules that have no open caption yet and at least two relations, the name put in
  in one of two;
- names: up to three of each molecule's names, drawn at random, of `chebi/names`, `chebi/names_by_name` and `names/iupac_names`.

Only rows of `use: open` and `split: train` are taken, and none of a molecule that `pairs` holds for validation. The same data and
seed give the same bytes.
"""

import argparse
import gzip
import hashlib
import json
import random
from pathlib import Path

SUBJECT = "The molecule is "
FIELDS = ("source", "kind", "split", "use", "licence", "smiles", "inchikey", "text")


def rows(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def named(row, text):
    """A caption with the molecule's name in the place of its subject."""
    name = row.get("name")
    return f"{name} is {text[len(SUBJECT):]}" if name and text.startswith(SUBJECT) else text


def captions(data, captioned, draw):
    for row in rows(data / "chebi/captions_original.jsonl.gz"):
        captioned.add(row["inchikey"])
        yield row, row.get("text_named") or row["text"] if draw.random() < 0.5 else row["text"]
    for file in ("captions_from_relations", "captions_by_name"):
        for row in rows(data / f"chebi/{file}.jsonl.gz"):
            relations = row.get("n_relations", row["text"].count(". It ") + 1)
            if row.get("already_has_open_caption") or relations < 2 or row["inchikey"] in captioned:
                continue
            captioned.add(row["inchikey"])
            yield row, named(row, row["text"]) if draw.random() < 0.5 else row["text"]


def names(data, draw):
    for file in ("chebi/names", "chebi/names_by_name", "names/iupac_names"):
        for row in rows(data / f"{file}.jsonl.gz"):
            known = list(dict.fromkeys(name for name in row["text"].split("; ") if name))
            chosen = draw.sample(known, min(3, len(known)))
            if chosen:
                yield row, "; ".join(chosen)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    draw = random.Random(options.seed)

    given = list(rows(options.data / "pairs/pairs.jsonl.gz"))
    held_out = {row["inchikey"] for row in given if row["split"] == "validation"}
    captioned = {row["inchikey"] for row in given if row["kind"] == "caption" and row["use"] == "open"}
    written = [{field: row[field] for field in FIELDS if field in row} for row in given]
    added = {"caption": 0, "names": 0}
    for kind, found in (("caption", captions(options.data, captioned, draw)), ("names", names(options.data, draw))):
        for row, text in found:
            if row["use"] != "open" or row["split"] != "train" or row["inchikey"] in held_out:
                continue
            written.append({field: row[field] for field in FIELDS if field in row} | {"kind": kind, "text": text})
            added[kind] += 1

    options.out.parent.mkdir(parents=True, exist_ok=True)
    # Neither time nor file name goes into the header, so that equal rows are equal bytes.
    with open(options.out, "wb") as raw, gzip.GzipFile("", "wb", mtime=0, fileobj=raw) as packed:
        for row in written:
            packed.write((json.dumps(row, ensure_ascii=False) + "\n").encode())
    digest = hashlib.sha256(options.out.read_bytes()).hexdigest()
    print(f"{len(given)} pairs as given, {added['caption']} captions and {added['names']} names added")
    print(f"{options.out}: {len(written)} rows, SHA-256 {digest}")


if __name__ == "__main__":
    main()
