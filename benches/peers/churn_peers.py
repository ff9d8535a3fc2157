"""Recall of hnswlib and usearch after half of their vectors were replaced, beside indexes built afresh over the same vectors.

    benches/peers/run.sh churn_peers.py FOLDER --count N --steps N --ef N,N

FOLDER holds vectors.npy (half as many again as `count`), queries.npy (float32) and truth.npy (int64: the k nearest of each
query among those that live at the end). The first `count` rows are inserted; then, in so many steps, rows 0, 2, 4, … are removed
and as many of the rows behind the first `count` inserted. The answer is one line of JSON.
"""

import argparse
import json
import os
import pathlib

import hnswlib
import numpy
from index_peers import Hnswlib, Usearch, recall, timed, unit
from usearch.index import Index

M, EF_CONSTRUCTION = 16, 100


class ReplacingHnswlib(Hnswlib):
    """Deleted elements are marked, and their places given to new ones."""

    name = "hnswlib"

    def __init__(self, vectors, ids, threads):
        self.threads = threads
        self.index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.index.init_index(
            len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=100, allow_replace_deleted=True
        )
        self.index.add_items(vectors, ids, num_threads=threads)

    def replace(self, gone, vectors, ids):
        for identifier in gone:
            self.index.mark_deleted(identifier)
        self.index.add_items(vectors, ids, num_threads=self.threads, replace_deleted=True)


class ReplacingUsearch(Usearch):
    """Removed keys leave room that new ones take."""

    name = "usearch"

    def __init__(self, vectors, ids, threads):
        self.threads = threads
        self.index = Index(
            ndim=vectors.shape[1], metric="ip", dtype="f32", connectivity=M, expansion_add=EF_CONSTRUCTION
        )
        self.index.add(ids.astype(numpy.uint64), vectors, threads=threads)

    def replace(self, gone, vectors, ids):
        self.index.remove(gone.astype(numpy.uint64))
        self.index.add(ids.astype(numpy.uint64), vectors, threads=self.threads)


def measure(kind, given, threads):
    """What an index of this kind shows."""
    vectors, queries = (unit(numpy.load(given.folder / f"{name}.npy")) for name in ("vectors", "queries"))
    truth = numpy.load(given.folder / "truth.npy")
    ids, half = numpy.arange(len(vectors)), given.count // 2
    churned = kind(vectors[: given.count], ids[: given.count], threads)

    def churn():
        for step in range(given.steps):
            part = numpy.arange(step * half // given.steps, (step + 1) * half // given.steps)
            new = given.count + part
            churned.replace(2 * part, vectors[new], new)

    churn_s, _ = timed(churn)
    live = numpy.setdiff1d(ids[: given.count + half], 2 * numpy.arange(half))
    fresh = kind(vectors[live], live, threads)
    found = lambda index, ef: recall(index.search(queries, truth.shape[1], ef, threads), truth)
    recalls = [(found(churned, ef), found(fresh, ef)) for ef in given.ef]
    return {"name": f"{kind.name} {kind.version}", "churn_s": churn_s, "recalls": recalls}


def main():
    parser = argparse.ArgumentParser(description="Measure hnswlib and usearch under churn.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--ef", type=lambda widths: [int(width) for width in widths.split(",")], required=True)
    given = parser.parse_args()
    threads = os.cpu_count() or 1
    print(json.dumps([measure(kind, given, threads) for kind in (ReplacingHnswlib, ReplacingUsearch)]))


if __name__ == "__main__":
    main()
