"""Makes structural.jsonl.gz from chem.jsonl.gz: MACCS keys, path fingerprints and similarities by RDKit.

    python structural.py chem.jsonl.gz structural.jsonl.gz
"""

import gzip
import json
import sys

from rdkit import Chem, DataStructs, RDLogger
from rdkit.Chem import MACCSkeys, rdFingerprintGenerator

MORGAN = rdFingerprintGenerator.GetMorganGenerator(radius=2)


def fnv(data):
    """FNV-1a, 64 bits."""
    state = 0xCBF29CE484222325
    for byte in data:
        state = (state ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{state:016x}"


def packed(bits):
    data = bytearray(256)
    for bit in bits.GetOnBits():
        data[bit // 8] |= 1 << bit % 8
    return bytes(data)


def main():
    RDLogger.DisableLog("rdApp.*")
    before = None
    with gzip.open(sys.argv[1], "rt") as lines, gzip.GzipFile(sys.argv[2], "wb", mtime=0) as out:
        for line in map(json.loads, lines):
            if not line["ok"]:
                continue
            mol = Chem.MolFromSmiles(line["smiles"])
            maccs, paths = MACCSkeys.GenMACCSKeys(mol), Chem.RDKFingerprint(mol)
            now = maccs, paths, MORGAN.GetSparseCountFingerprint(mol)
            keys = sum(1 << key for key in maccs.GetOnBits())
            fact = {"i": line["i"], "maccs": f"{keys:042x}", "paths": [paths.GetNumOnBits(), fnv(packed(paths))]}
            if before:
                fact["to_line_before"] = [DataStructs.TanimotoSimilarity(a, b) for a, b in zip(now, before)]
            before = now
            out.write((json.dumps(fact, separators=(",", ":")) + "\n").encode())


main()
