"""Imports, opens, searches and filters Chroma and LanceDB over vectors that Moiety wrote, one request a line.

    benches/peers/run.sh database_peers.py FOLDER

FOLDER holds vectors.npy and queries.npy (float32), shares.npy (int64: a number from 0 to 999 for each vector) and, for each
BELOW that is asked for, truth-BELOW.npy (int64: the k nearest of those whose number is below it, exactly). A request is a line
of JSON on standard input: {"import": NAME}, {"search": NAME, "below": BELOW} or {"open": NAME}; the answer is a line of JSON.
"open" is measured in a process of its own, after its imports: milliseconds to the first answer, and the memory that it holds
in the end beyond what it held before.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

import numpy

BATCH = 1_000
K = 10
EF = 64
NAME = "vectors"


class Chroma:
    def __init__(self, folder):
        import chromadb

        self.version = chromadb.__version__
        settings = chromadb.Settings(anonymized_telemetry=False)
        self.open = lambda: chromadb.PersistentClient(path=str(folder), settings=settings)

    def fill(self, vectors, shares):
        hnsw = {"space": "cosine", "max_neighbors": 16, "ef_construction": 100, "ef_search": EF}
        self.rows = self.open().create_collection(NAME, configuration={"hnsw": hnsw}, embedding_function=None)
        for start in range(0, len(vectors), BATCH):
            end = min(start + BATCH, len(vectors))
            self.rows.add(
                ids=[str(row) for row in range(start, end)],
                embeddings=vectors[start:end],
                metadatas=[{"share": int(share)} for share in shares[start:end]],
            )

    def index(self):
        """It links rows as they come."""

    def reopen(self):
        self.rows = self.open().get_collection(NAME, embedding_function=None)

    def search(self, query, below):
        where = {"share": {"$lt": below}} if below < 1_000 else None
        found = self.rows.query(query_embeddings=query[None], n_results=K, where=where, include=[])
        return [int(row) for row in found["ids"][0]]


class Lance:
    def __init__(self, folder):
        import lancedb
        import pyarrow

        self.version, self.arrow = lancedb.__version__, pyarrow
        self.open = lambda: lancedb.connect(str(folder))

    def fill(self, vectors, shares):
        arrow, width = self.arrow, vectors.shape[1]
        number = arrow.int64()
        vector = arrow.list_(arrow.float32(), width)
        schema = arrow.schema([("id", number), ("share", number), ("vector", vector)])
        self.rows = self.open().create_table(NAME, schema=schema)
        for start in range(0, len(vectors), BATCH):
            part = vectors[start : start + BATCH]
            columns = {
                "id": arrow.array(range(start, start + len(part)), number),
                "share": arrow.array(shares[start : start + BATCH], number),
                "vector": arrow.FixedSizeListArray.from_arrays(arrow.array(part.reshape(-1)), width),
            }
            self.rows.add(arrow.table(columns, schema=schema))

    def index(self):
        from lancedb.index import BTree, HnswSq

        self.rows.create_index("share", config=BTree())
        graph = HnswSq(distance_type="cosine", num_partitions=1, m=16, ef_construction=100)
        self.rows.create_index("vector", config=graph)

    def reopen(self):
        self.rows = self.open().open_table(NAME)

    def search(self, query, below):
        # Four times as many by their codes, then in full precision, as the others.
        asked = self.rows.search(query).distance_type("cosine").ef(EF).refine_factor(4).limit(K)
        asked = asked.select(["id", "_distance"])
        if below < 1_000:
            asked = asked.where(f"share < {below}", prefilter=True)
        return asked.to_arrow()["id"].to_pylist()


PEERS = {"chroma": Chroma, "lancedb": Lance}


def bytes_below(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def resident():
    """Bytes of memory that are this process's own, files it has mapped left out."""
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))


def opened(peer, queries):
    """Opens what is there, and says how long that took and what it holds."""
    before, begin = resident(), time.perf_counter()
    peer.reopen()
    peer.search(queries[0], 1_000)
    first = time.perf_counter() - begin
    for query in queries:
        peer.search(query, 1_000)
    return {"ms": first * 1e3, "bytes": resident() - before}


def searched(peer, queries, below, folder):
    truth = numpy.load(folder / f"truth-{below}.npy")
    times, hits = [], 0
    for query, true in zip(queries, truth):
        begin = time.perf_counter()
        found = peer.search(query, below)
        times.append(time.perf_counter() - begin)
        hits += len(set(found) & set(map(int, true)))
    return {"ms": float(numpy.median(times)) * 1e3, "recall": hits / truth.size}


def main():
    parser = argparse.ArgumentParser(description="Measure Chroma and LanceDB.")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--open", choices=PEERS)
    given = parser.parse_args()
    queries = numpy.load(given.folder / "queries.npy")
    if given.open:
        print(json.dumps(opened(PEERS[given.open](given.folder / given.open), queries)))
        return
    vectors, shares = (numpy.load(given.folder / f"{name}.npy") for name in ("vectors", "shares"))
    shares, peers = shares.reshape(-1), {}
    for line in sys.stdin:
        request = json.loads(line)
        if name := request.get("import"):
            place = given.folder / name
            peer = peers[name] = PEERS[name](place)
            begin = time.perf_counter()
            peer.fill(vectors, shares)
            stored = time.perf_counter()
            peer.index()
            seconds = {"stored_s": stored - begin, "indexed_s": time.perf_counter() - begin}
            answer = {"version": peer.version, "bytes": bytes_below(place), **seconds}
        elif name := request.get("search"):
            answer = searched(peers[name], queries, request["below"], given.folder)
        else:
            child = [sys.executable, __file__, str(given.folder), "--open", request["open"]]
            said = subprocess.run(child, stdout=subprocess.PIPE, check=True, text=True).stdout
            answer = json.loads(said.splitlines()[-1])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
