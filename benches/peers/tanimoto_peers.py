"""Searches FPSim2 over fingerprints that Moiety wrote, one request a line.

    benches/peers/run.sh tanimoto_peers.py FOLDER

FOLDER holds prints.bin and queries.bin: rows of little-endian uint64 as FPSim2 keeps them in memory, which are an identifier,
the words of the fingerprint and their number of bits, in the order of that number. A request is a line of JSON on standard
input, {"threshold": T} or {"top": K}; the answer is a line of JSON with the seconds of all queries and the identifiers and
similarities found. The search is what FPSim2Engine does on one core once it has the query's fingerprint.
"""

import importlib.metadata
import json
import pathlib
import sys
import time

import numpy
from FPSim2.FPSim2lib import GenericSearch
from FPSim2.io.backends.base import BaseStorageBackend
from FPSim2.io.chem import METRICS, get_bounds_range

WORDS = 2048 // 64


def search(query, rows, bins, threshold, top):
    bounds = get_bounds_range(query, threshold, None, None, bins, "tanimoto")
    if not bounds:
        return []
    return GenericSearch(query, rows, threshold, top, METRICS["tanimoto"], *bounds)


def main():
    folder = pathlib.Path(sys.argv[1])
    rows, queries = (
        numpy.fromfile(folder / f"{name}.bin", dtype="<u8").reshape(-1, WORDS + 2) for name in ("prints", "queries")
    )
    bins = BaseStorageBackend.calc_popcnt_bins(rows)
    for line in sys.stdin:
        request = json.loads(line)
        threshold, top = request.get("threshold", 0.0), request.get("top", 0)
        begin = time.perf_counter()
        found = [search(query, rows, bins, threshold, top) for query in queries]
        seconds = time.perf_counter() - begin
        hits = [[(int(hit["mol_id"]), float(hit["coeff"])) for hit in one] for one in found]
        answer = {"version": importlib.metadata.version("FPSim2"), "seconds": seconds, "found": hits}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
