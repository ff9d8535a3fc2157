"""Builds and searches hnswlib and usearch over vectors that Moiety wrote, on one thread, and prints one line of JSON.

    benches/peers/run.sh index_peers.py FOLDER --m 16 --ef-construction 200 --ef 32,64,128

FOLDER holds vectors.npy and queries.npy (float32, unit length) and truth.npy (int64: the k nearest of each query, exactly).
"""

import argparse
import json
import pathlib
import time

import hnswlib
import numpy
import usearch
from usearch.index import Index


def hnswlib_peer(vectors, given):
    """Builds; gives the version, the seconds and a search (queries, k, ef) -> ids."""
    index = hnswlib.Index(space="cosine", dim=vectors.shape[1])
    index.init_index(max_elements=len(vectors), M=given.m, ef_construction=given.ef_construction, random_seed=100)
    index.set_num_threads(1)
    seconds = timed(lambda: index.add_items(vectors, num_threads=1))[0]

    def search(queries, k, ef):
        index.set_ef(ef)
        return index.knn_query(queries, k=k, num_threads=1)[0]

    return "hnswlib", hnswlib.__version__ if hasattr(hnswlib, "__version__") else "0.8.0", seconds, search


def usearch_peer(vectors, given):
    """As above."""
    index = Index(
        ndim=vectors.shape[1],
        metric="cos",
        dtype="f32",
        connectivity=given.m,
        expansion_add=given.ef_construction,
    )
    keys = numpy.arange(len(vectors), dtype=numpy.uint64)
    seconds = timed(lambda: index.add(keys, vectors, threads=1))[0]

    def search(queries, k, ef):
        index.expansion_search = ef
        return index.search(queries, k, threads=1).keys

    return "usearch", usearch.__version__, seconds, search


def timed(work):
    """(seconds, result)."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def recall(found, truth):
    """Share of the true neighbors that were found."""
    hits = sum(len(set(map(int, row)) & set(map(int, true))) for row, true in zip(found, truth))
    return hits / truth.size


def measure(peer, vectors, queries, truth, given):
    """The row of one peer: the best of three runs at each width."""
    name, version, seconds, search = peer(vectors, given)
    searches = []
    for ef in given.ef:
        found = search(queries, truth.shape[1], ef)
        best = min(timed(lambda: search(queries, truth.shape[1], ef))[0] for _ in range(3))
        searches.append({"ef": ef, "recall": recall(found, truth), "queries_per_s": len(queries) / best})
    return {"name": name, "version": version, "build_s": seconds, "searches": searches}


def main():
    parser = argparse.ArgumentParser(description="Measure hnswlib and usearch.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=200)
    parser.add_argument("--ef", type=lambda text: [int(ef) for ef in text.split(",")], default=[32, 64, 128])
    given = parser.parse_args()
    vectors, queries, truth = (numpy.load(given.folder / f"{name}.npy") for name in ("vectors", "queries", "truth"))
    rows = [measure(peer, vectors, queries, truth, given) for peer in (hnswlib_peer, usearch_peer)]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
