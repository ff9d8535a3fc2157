"""Builds and searches hnswlib, usearch and faiss over vectors that Moiety wrote, one request a line.

    benches/peers/run.sh index_peers.py FOLDER --m 16 --ef-construction 100

FOLDER holds vectors.npy and queries.npy (float32) and truth.npy (int64: the k nearest of each query, exactly). A request is
a line of JSON on standard input, {"build": NAME, "threads": N} or {"search": NAME, "ef": N, "threads": N}; the answer is a
line of JSON with the seconds, and with the bytes of an index or the recall of a search. All queries go in with one call, so
that no time goes into Python.
"""

import argparse
import json
import pathlib
import sys
import time

import faiss
import hnswlib
import numpy
import usearch
from usearch.index import Index


class Hnswlib:
    version = "0.8.0"

    def __init__(self, vectors, given, threads):
        self.index = hnswlib.Index(space="ip", dim=vectors.shape[1])
        self.index.init_index(len(vectors), M=given.m, ef_construction=given.ef_construction, random_seed=100)
        self.index.add_items(vectors, num_threads=threads)

    def search(self, queries, k, ef, threads):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=k, num_threads=threads)[0]

    def bytes(self):
        # Of its file: a lock for each vector and the table of labels, which it does not count, come on top.
        return self.index.index_file_size()


class Usearch:
    version = usearch.__version__

    def __init__(self, vectors, given, threads):
        self.index = Index(
            ndim=vectors.shape[1],
            metric="ip",
            dtype="f32",
            connectivity=given.m,
            expansion_add=given.ef_construction,
        )
        self.index.add(numpy.arange(len(vectors), dtype=numpy.uint64), vectors, threads=threads)

    def search(self, queries, k, ef, threads):
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=threads).keys

    def bytes(self):
        return self.index.memory_usage


class Faiss:
    version = faiss.__version__

    def __init__(self, vectors, given, threads):
        faiss.omp_set_num_threads(threads)
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], given.m, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = given.ef_construction
        self.index.add(vectors)

    def search(self, queries, k, ef, threads):
        faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, k)[1]

    def bytes(self):
        return saved_bytes(self.index)


class FaissFlat:
    version = faiss.__version__

    def __init__(self, vectors, given, threads):
        self.index = faiss.IndexFlatIP(vectors.shape[1])
        self.index.add(vectors)

    def search(self, queries, k, ef, threads):
        faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k)[1]

    def bytes(self):
        return saved_bytes(self.index)


PEERS = {"hnswlib": Hnswlib, "usearch": Usearch, "faiss": Faiss, "faiss flat": FaissFlat}


def saved_bytes(index):
    """What faiss keeps of an index, which it does not count itself, but for capacity that it does not fill."""
    count = 0

    def write(piece):
        nonlocal count
        count += len(piece)

    faiss.write_index(index, faiss.PyCallbackIOWriter(write))
    return count


def timed(work):
    """(seconds, result)."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def recall(found, truth):
    """Share of the true neighbors that were found."""
    hits = sum(len(set(map(int, row)) & set(map(int, true))) for row, true in zip(found, truth))
    return hits / truth.size


def unit(rows):
    """Rows of length one: the cosine of such rows is their product."""
    return numpy.ascontiguousarray(rows / numpy.linalg.norm(rows, axis=1, keepdims=True), dtype="f4")


def main():
    parser = argparse.ArgumentParser(description="Measure hnswlib, usearch and faiss.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=100)
    given = parser.parse_args()
    vectors, queries = (unit(numpy.load(given.folder / f"{name}.npy")) for name in ("vectors", "queries"))
    truth = numpy.load(given.folder / "truth.npy")
    built = {}
    for line in sys.stdin:
        request = json.loads(line)
        threads = request["threads"]
        if "build" in request:
            kind = PEERS[request["build"]]
            seconds, built[request["build"]] = timed(lambda: kind(vectors, given, threads))
            answer = {"version": kind.version, "seconds": seconds, "bytes": built[request["build"]].bytes()}
        else:
            index = built[request["search"]]
            seconds, found = timed(lambda: index.search(queries, truth.shape[1], request["ef"], threads))
            answer = {"seconds": seconds, "recall": recall(found, truth)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
