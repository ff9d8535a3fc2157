"""Checks that this client and the Rust command get the same answers from one server.

    python3 clients/python/smoke.py --server localhost:7400 --collection demo --moiety target/debug/moiety

It prints one line a query and exits with 1 at the first difference in ids, order, records or scores (beyond 1e-5).
"""

import argparse
import json
import subprocess
import sys

import grpc

from moiety_client import Client, search

LIMIT = 5
TOLERANCE = 1e-5
OPTIONS = {"text": "--text", "structure": "--smiles"}


def queries(path):
    """(option of the command, value) of each line of a file such as demo/queries.jsonl."""
    with open(path, encoding="utf-8") as lines:
        asked = [json.loads(line) for line in lines if line.strip()]
    return [(OPTIONS[query["kind"]], query["query"]) for query in asked]


def by_command(given, kind, value):
    """The hits of the Rust command, one a line."""
    command = [given.moiety, "search", "--server", f"http://{given.server}", "--collection", given.collection]
    command += ["--json", "--limit", str(LIMIT), kind, value]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}: {done.stderr.strip()}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def by_reflection(client, given, kind, value):
    """The hits of this client."""
    query = {"text": value} if kind == "--text" else {"molecule": {"smiles": value}}
    return search(client, given.collection, query, limit=LIMIT)


def difference(ours, theirs):
    """What differs first, or None."""
    ids = [[hit["id"] for hit in hits] for hits in (ours, theirs)]
    if ids[0] != ids[1]:
        return f"ids differ: {ids[0]} and {ids[1]}"
    for our, their in zip(ours, theirs):
        if abs(our["score"] - their["score"]) > TOLERANCE:
            return f"scores of {our['id']} differ: {our['score']} and {their['score']}"
        for field in ("text", "smiles", "payload"):
            if our[field] != their[field]:
                return f"{field} of {our['id']} differs: {our[field]!r} and {their[field]!r}"
    return None


def refusals(client, given):
    """Bad input is refused with the code that the .proto files promise."""
    cases = [
        ({"collection": "nowhere", "query": {"text": "a"}, "target": "SIDE_TEXT"}, grpc.StatusCode.NOT_FOUND),
        ({"collection": given.collection, "query": {"text": "a"}}, grpc.StatusCode.INVALID_ARGUMENT),
        (
            {"collection": given.collection, "query": {"molecule": {"smiles": "C1CC"}}, "target": "SIDE_MOLECULE"},
            grpc.StatusCode.INVALID_ARGUMENT,
        ),
    ]
    for request, expected in cases:
        try:
            client.call("Search", "Query", request)
        except grpc.RpcError as error:
            if error.code() != expected:
                return f"{request}: {error.code().name}, not {expected.name}: {error.details()}"
        else:
            return f"{request} was answered"
    return None


def main():
    parser = argparse.ArgumentParser(description="Compare this client with the Rust command.")
    parser.add_argument("--server", required=True, help="host:port")
    parser.add_argument("--collection", required=True)
    parser.add_argument("--moiety", default="target/debug/moiety", help="the Rust command")
    parser.add_argument("--queries", default="demo/queries.jsonl", help="what to ask, one JSON object a line")
    given = parser.parse_args()
    given.server = given.server.removeprefix("http://").rstrip("/")
    with Client(given.server) as client:
        for kind, value in queries(given.queries):
            ours = by_reflection(client, given, kind, value)
            wrong = "no hits" if not ours else difference(ours, by_command(given, kind, value))
            if wrong:
                sys.exit(f"{kind} {value!r}: {wrong}")
            print(f"same {len(ours)} hits: {kind} {value!r}, first {ours[0]['id']}")
        wrong = refusals(client, given)
        if wrong:
            sys.exit(wrong)
        print("bad queries are refused with the promised codes")


if __name__ == "__main__":
    main()
