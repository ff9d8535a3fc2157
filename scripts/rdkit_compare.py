"""Compares how this program and RDKit read the structures of files; scripts/rdkit_compare.sh runs it with its own Python.

Files of SMILES (a structure a line, a CXSMILES extension and a name after it), of InChI (`.inchi`, or lines that begin with
`InChI=`) and of mol blocks (`.mol`, `.sdf`). RDKit's answer is MolToSmiles and the InChIKey of what it read; ours is compared as
a string, and where it differs RDKit reads it once more, so that another way of writing the same molecule counts as equal.
"""

import argparse
import collections
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

from rdkit import Chem, RDLogger, rdBase

RDLogger.DisableLog("rdApp.*")
EXTENSION = re.compile(r"^\s+(\|[^|]*\|)")


def text_of(path):
    raw = path.read_bytes()
    raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    return raw.decode("utf-8", errors="replace")


def line_structures(text):
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        first, rest = re.match(r"(\S+)(.*)", line).groups()
        if first.startswith("InChI="):
            yield number, "inchi", first
        else:
            extension = EXTENSION.match(rest)
            yield number, "smiles", f"{first} {extension.group(1)}" if extension else first


def structures(path):
    text = text_of(path)
    name = path.name.removesuffix(".gz").lower()
    if name.endswith(".mol"):
        yield 1, "mol", text
    elif name.endswith((".sdf", ".sd")):
        line = 1
        for record in re.split(r"^\$\$\$\$.*\n", text.replace("\r\n", "\n"), flags=re.M):
            end = re.search(r"^M  END", record, flags=re.M)
            if end:
                yield line, "mol", record[: end.end()] + "\n"
            line += record.count("\n") + 1
    else:
        yield from line_structures(text)


def theirs(kind, text):
    read = {"smiles": Chem.MolFromSmiles, "inchi": Chem.MolFromInchi, "mol": Chem.MolFromMolBlock}[kind]
    try:
        molecule = read(text)
    except Exception:  # RDKit raises a C++ error of its own for some blocks
        molecule = None
    if molecule is None or molecule.GetNumAtoms() == 0:
        return None
    for atom in molecule.GetAtoms():
        atom.SetAtomMapNum(0)
    return Chem.MolToSmiles(molecule), Chem.MolToInchiKey(molecule) or None


def is_same(ours, smiles):
    again = Chem.MolFromSmiles(ours)
    return ours == smiles or (again is not None and Chem.MolToSmiles(again) == smiles)


def verdict(kind, text, our):
    their = theirs(kind, text)
    if their is None:
        return ("both refuse" if "error" in our else "only RDKit refuses"), our.get("error") or our["smiles"]
    if "error" in our:
        return "only RDKit reads", f"{our['error']} · RDKit: {their[0]}"
    if not is_same(our["smiles"], their[0]):
        return "SMILES differ", f"{our['smiles']} · RDKit: {their[0]}"
    if our["inchikey"] != their[1]:
        return "InChIKeys differ", f"{our['inchikey']} · RDKit: {their[1]}"
    return "equal", ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", help="the example `identities` of moiety-chem")
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--rdkit-data", action="store_true", help="also every file of structures that RDKit installs")
    options = parser.parse_args()
    files = list(options.files)
    if options.rdkit_data:
        from rdkit import RDConfig

        roots = {Path(RDConfig.RDDataDir), Path(RDConfig.RDContribDir), Path(Chem.__file__).parents[1]}
        suffixes = (".smi", ".sdf", ".mol", ".smi.gz", ".sdf.gz", ".inchi")
        files += sorted({file for root in roots for file in root.rglob("*") if file.name.lower().endswith(suffixes)})
    if not files:
        sys.exit("name files of structures, or give --rdkit-data")
    rows = [(file, *structure) for file in files for structure in structures(file)]
    asked = "".join(json.dumps({"kind": kind, "text": text}) + "\n" for _, _, kind, text in rows)
    answers = subprocess.run([options.program], input=asked, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answers) == len(rows), f"{len(answers)} answers to {len(rows)} structures"
    counts = collections.Counter()
    for (file, line, kind, text), answer in zip(rows, answers):
        found, detail = verdict(kind, text, json.loads(answer))
        counts[found] += 1
        if found not in ("equal", "both refuse"):
            shown = text if kind != "mol" else text.split("\n", 1)[0].strip() or "mol block"
            print(f"{found}\t{file}:{line}\t{shown}\t{detail}")
    print(f"\n{len(rows)} structures of {len(files)} files, RDKit {rdBase.rdkitVersion}")
    for found, count in counts.most_common():
        print(f"{count:8} {found}")


if __name__ == "__main__":
    main()
