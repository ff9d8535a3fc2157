"""Searches a Moiety server and prints one hit a line, as JSON.

    python3 clients/python/search.py --server localhost:7400 --collection demo --text "a yellow dye"
    python3 clients/python/search.py --server localhost:7400 --collection demo --smiles "CC(=O)Oc1ccccc1C(=O)O"
"""

import argparse
import json
import sys

import grpc

from moiety_client import Client, search


def arguments():
    parser = argparse.ArgumentParser(description="Search a Moiety server; one hit a line, as JSON.")
    parser.add_argument("--server", required=True, help="host:port")
    parser.add_argument("--collection", required=True)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--text", help="words to search for")
    asked.add_argument("--smiles", help="a structure to search for")
    parser.add_argument("--target", choices=["molecule", "text"], default="molecule", help="the side that is searched")
    parser.add_argument("--limit", type=int, default=10, help="most hits")
    parser.add_argument("--rerank", choices=["default", "off", "levels"], default="default")
    return parser.parse_args()


def main():
    given = arguments()
    query = {"text": given.text} if given.text is not None else {"molecule": {"smiles": given.smiles}}
    try:
        with Client(given.server) as client:
            hits = search(client, given.collection, query, given.target, given.limit, given.rerank)
    except grpc.RpcError as error:
        print(f"{error.code().name}: {error.details()}", file=sys.stderr)
        return 1
    for hit in hits:
        print(json.dumps(hit, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
