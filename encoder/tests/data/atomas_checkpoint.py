"""Writes atomas.ckpt.gz: a tiny checkpoint in the layout of a PyTorch Lightning file with Atomas's names.

The file is what torch.save would write (a zip of a protocol 2 pickle and raw storages), made by Python's own pickler with
stand-ins for torch's classes, so that no torch is needed. Number k of tensor t, counted in the order of names, is t + k/1024.
"""

import argparse
import collections
import gzip
import io
import pickle
import struct
import sys
import types
import zipfile

D, KV, HEADS, FF, BUCKETS, VOCABULARY, TOKENS = 8, 2, 4, 4, 4, 96, 8


def fake_module(name, **members):
    module = types.ModuleType(name)
    for key, member in members.items():
        member.__module__, member.__qualname__, member.__name__ = name, key, key
        setattr(module, key, member)
    sys.modules[name] = module


class FloatStorage:
    pass


class LongStorage:
    pass


def rebuild(*args):
    return args


fake_module("torch", FloatStorage=FloatStorage, LongStorage=LongStorage)
fake_module("torch._utils", _rebuild_tensor_v2=rebuild)


class Storage:
    def __init__(self, kind, key, data):
        self.kind, self.key, self.data = kind, key, data


class Tensor:
    def __init__(self, storage, shape):
        self.storage, self.shape = storage, tuple(shape)

    def __reduce__(self):
        stride, strides = 1, []
        for size in reversed(self.shape):
            strides.insert(0, stride)
            stride *= size
        hooks = collections.OrderedDict()
        return rebuild, (self.storage, 0, self.shape, tuple(strides), False, hooks)


class Pickler(pickle.Pickler):
    def persistent_id(self, obj):
        if isinstance(obj, Storage):
            size = len(obj.data) // (8 if obj.kind is LongStorage else 4)
            return ("storage", obj.kind, obj.key, "cpu", size)
        return None


def t5():
    yield "shared", [VOCABULARY, D]
    for stack, cross in (("encoder", False), ("decoder", True)):
        kinds = ["SelfAttention"] + (["EncDecAttention"] if cross else [])
        for layer, kind in enumerate(kinds):
            at = f"{stack}.block.0.layer.{layer}"
            for part in "qkv":
                yield f"{at}.{kind}.{part}", [HEADS * KV, D]
            yield f"{at}.{kind}.o", [D, HEADS * KV]
            if layer == 0:
                yield f"{at}.{kind}.relative_attention_bias", [BUCKETS, HEADS]
            yield f"{at}.layer_norm", [D]
        at = f"{stack}.block.0.layer.{len(kinds)}"
        yield f"{at}.DenseReluDense.wi_0", [FF, D]
        yield f"{at}.DenseReluDense.wi_1", [FF, D]
        yield f"{at}.DenseReluDense.wo", [D, FF]
        yield f"{at}.layer_norm", [D]
        yield f"{stack}.final_layer_norm", [D]
    yield "lm_head", [VOCABULARY, D]


def shapes():
    for copy in ("", "_m"):
        for name, shape in t5():
            yield f"molt5{copy}.{name}.weight", shape
        for side in ("text", "smiles"):
            yield f"{side}_linear{copy}.weight", [1, TOKENS]
            yield f"{side}_linear{copy}.bias", [1]
    for side, short in (("text", "t"), ("smiles", "s")):
        yield f"{side}_queue", [D, 6]
        for level in range(3):
            yield f"{side}_weight_fc_{level}.0.weight", [2 * D, D]
            yield f"{side}_weight_fc_{level}.0.bias", [2 * D]
            yield f"{side}_weight_fc_{level}.2.weight", [1, 2 * D]
            yield f"{side}_weight_fc_{level}.2.bias", [1]
        for level in (1, 2):
            ctm, block = f"{short}_ctm{level}", f"{short}_block{level}"
            yield f"{ctm}.conv.conv.weight", [D, D, 3]
            yield f"{ctm}.norm.weight", [D]
            yield f"{ctm}.norm.bias", [D]
            yield f"{ctm}.score.weight", [1, D]
            yield f"{ctm}.score.bias", [1]
            yield f"{block}.norm1.weight", [D]
            yield f"{block}.norm1.bias", [D]
            for part, rows in (("q", D), ("kv", 2 * D), ("proj", D)):
                yield f"{block}.attn.{part}.weight", [rows, D]
                yield f"{block}.attn.{part}.bias", [rows]
    yield "queue_ptr", [1]
    yield "temp", []
    yield "logit_scale", []


def main():
    storages, state = [], collections.OrderedDict()
    numbers = {name: i for i, (name, _) in enumerate(sorted(shapes()))}

    def storage(kind, data):
        storages.append(Storage(kind, str(len(storages)), data))
        return storages[-1]

    def floats(name, shape):
        count = 1
        for size in shape:
            count *= size
        data = [numbers[name] + k / 1024 for k in range(count)]
        return Tensor(storage(FloatStorage, struct.pack(f"<{count}f", *data)), shape)

    for name, shape in shapes():
        if name == "queue_ptr":
            state[name] = Tensor(storage(LongStorage, struct.pack("<q", 4)), shape)
            continue
        state[name] = floats(name, shape)
        if name.endswith(".shared.weight"):
            for stack in ("encoder", "decoder"):
                copy = name.replace("shared", f"{stack}.embed_tokens")
                state[copy] = Tensor(state[name].storage, shape)
    state._metadata = collections.OrderedDict({"": {"version": 1}})
    moments = {"step": 7, "exp_avg": floats("temp", []), "exp_avg_sq": floats("temp", [])}
    group = {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "params": [0]}
    checkpoint = {
        "epoch": 3,
        "global_step": 70000,
        "pytorch-lightning_version": "1.7.0",
        "state_dict": state,
        "callbacks": {"ModelCheckpoint{'monitor': None}": {"best_model_score": None}},
        "optimizer_states": [{"state": {0: moments}, "param_groups": [group]}],
        "lr_schedulers": [],
        "hparams_name": "args",
        "hyper_parameters": argparse.Namespace(momentum=0.995, queue_size=6, amp=True),
    }
    body = io.BytesIO()
    Pickler(body, protocol=2).dump(checkpoint)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        def add(name, data):
            archive.writestr(zipfile.ZipInfo(f"archive/{name}"), data)
        add("data.pkl", body.getvalue())
        add("byteorder", "little")
        for item in storages:
            add(f"data/{item.key}", item.data)
        add("version", "3\n")
    with open("atomas.ckpt.gz", "wb") as file:
        file.write(gzip.compress(out.getvalue(), 9, mtime=0))


if __name__ == "__main__":
    main()
