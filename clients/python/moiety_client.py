"""A Moiety client that knows nothing beforehand: every message and method comes from the server by reflection.

It needs grpcio and grpcio-reflection, and no generated code. Messages go in and come out as plain dictionaries in the
JSON form of protobuf, with the field names of the .proto files.
"""

import threading

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

MAX_RESPONSE_BYTES = 256 << 20


class Client:
    """One connection to a server, as in `Client("localhost:7400")`."""

    def __init__(self, server):
        address = server.removeprefix("http://").rstrip("/")
        options = [("grpc.max_receive_message_length", MAX_RESPONSE_BYTES)]
        self._channel = grpc.insecure_channel(address, options=options)
        # Looking a name up fetches its file, which must happen once.
        self._lookup = threading.Lock()
        self._pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self._channel))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._channel.close()

    def call(self, service, method, request, timeout_s=30):
        """Calls a unary method: `call("Search", "Query", {...})`. Raises grpc.RpcError when the server refuses."""
        with self._lookup:
            described = self._pool.FindServiceByName(f"moiety.v1.{service}").methods_by_name[method]
            to_send = message_factory.GetMessageClass(described.input_type)
            to_receive = message_factory.GetMessageClass(described.output_type)
        unary = self._channel.unary_unary(
            f"/moiety.v1.{service}/{method}",
            request_serializer=to_send.SerializeToString,
            response_deserializer=to_receive.FromString,
        )
        answer = unary(json_format.ParseDict(request, to_send()), timeout=timeout_s)
        return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def search(client, collection, query, target="molecule", limit=10, rerank="default"):
    """The hits of one search, best first, as flat dictionaries. `query` is {"text": ...} or {"molecule": {...}}."""
    request = {
        "collection": collection,
        "query": query,
        "target": f"SIDE_{target.upper()}",
        "limit": limit,
        "rerank": {"mode": f"RERANK_MODE_{rerank.upper()}"},
    }
    answer = client.call("Search", "Query", request)
    return [_flat(rank, hit) for rank, hit in enumerate(answer.get("hits", []), start=1)]


def _flat(rank, hit):
    stored = hit["record"]
    record = stored["record"]
    given = record.get("molecule", {})
    levels = hit.get("levels", {})
    return {
        "rank": rank,
        "id": record["id"],
        "score": _score(hit.get("score", 0.0)),
        "levels": {name: _score(levels.get(name)) for name in ("global", "fragment", "token")},
        "smiles": given.get("smiles") or stored.get("molecule", {}).get("canonical_smiles"),
        "text": record.get("text"),
        "payload": _plain(record.get("payload", {})),
    }


def _score(score):
    """Six digits: what is beyond is noise of 32-bit numbers."""
    return None if score is None else round(float(score), 6)


def _plain(value):
    """Whole numbers as integers: protobuf has only one kind of number."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
