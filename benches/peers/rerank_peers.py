"""Reranks candidates by weighted MaxSim with NumPy, over the vectors that Moiety wrote, one request a line.

    benches/peers/run.sh rerank_peers.py FOLDER

For each level (fragments, tokens) FOLDER holds LEVEL.npy and LEVEL_queries.npy (float32: a part's vector and its weight, a
row), and LEVEL_spans.npy and LEVEL_query_spans.npy (int64: first row and one past the last of each record or query). A
request is {"query": N, "candidates": [N, ...]}; the answer has the seconds and the score of each candidate, fragments and
tokens added up. All candidates go through one matrix product, on one thread.
"""

import json
import os
import pathlib
import sys
import time

for threads in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[threads] = "1"

import numpy

LEVELS = ("fragments", "tokens")


class Level:
    def __init__(self, folder, name):
        load = lambda file: numpy.load(folder / f"{name}{file}.npy")
        table, queries = load(""), load("_queries")
        self.vectors = numpy.ascontiguousarray(table[:, :-1])
        self.weights = numpy.ascontiguousarray(table[:, -1])
        self.queries = numpy.ascontiguousarray(queries[:, :-1])
        self.query_weights = numpy.ascontiguousarray(queries[:, -1])
        self.spans = load("_spans")
        self.query_spans = load("_query_spans")

    def scores(self, query, candidates):
        first, last = self.query_spans[query]
        spans = self.spans[candidates]
        vectors = numpy.concatenate([self.vectors[a:b] for a, b in spans])
        weights = numpy.concatenate([self.weights[a:b] for a, b in spans])
        lengths = spans[:, 1] - spans[:, 0]
        starts = numpy.cumsum(lengths) - lengths
        cosines = self.queries[first:last] @ vectors.T
        of_query = self.query_weights[first:last] @ numpy.maximum.reduceat(cosines, starts, axis=1)
        of_target = numpy.add.reduceat(cosines.max(axis=0) * weights, starts)
        return (of_query + of_target) / 2


def main():
    folder = pathlib.Path(sys.argv[1])
    levels = [Level(folder, name) for name in LEVELS]
    print(json.dumps({"version": numpy.__version__}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        query, candidates = request["query"], numpy.array(request["candidates"])
        begin = time.perf_counter()
        scores = sum(level.scores(query, candidates) for level in levels)
        seconds = time.perf_counter() - begin
        print(json.dumps({"seconds": seconds, "scores": scores.tolist()}), flush=True)


if __name__ == "__main__":
    main()
