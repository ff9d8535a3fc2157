"""Makes meteor.json: stems and METEOR scores by NLTK, with a WordNet that knows no word (`pip install nltk`).

    python meteor.py overlap.json [CAPTIONS.tsv.gz] > meteor.json

The words are those of the captions (a table with a header; the text is its last column); the pairs are those of overlap.json
and disturbed copies of them.
"""

import gzip
import json
import random
import re
import sys

from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import single_meteor_score

WORDS = """caresses ponies ties cats feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling
hissing fizzed failing filing happy sky relational conditional rational valenci hesitanci digitizer conformabli radicalli
differentli vileli analogousli vietnamization predication operator feudalism decisiveness hopefulness callousness formaliti
sensitiviti sensibiliti triplicate formative formalize electriciti electrical hopeful goodness revival allowance inference
airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologou communism activate
angulariti homologous effective bowdlerize probate rate cease controll roll geologi theologi analogi biologically logically
died spied dies flies dying lying tying news innings outing cannings howe proceed exceed succeed skies enjoy by say
yellow yyyy syzygy aaed bing red ring string sky's generalizations oscillators""".split()


class NoWordNet:
    @staticmethod
    def synsets(_):
        return []


def tokens(text):
    return re.findall(r"[a-z0-9]+|[^\sa-z0-9]", text.lower())


def score(pair):
    candidate, reference = tokens(pair["candidate"]), tokens(pair["reference"])
    return {**pair, "meteor": single_meteor_score(reference, candidate, wordnet=NoWordNet)}


def disturbed(text, rng):
    words = text.split()
    cut, at = rng.randrange(1, len(words) + 1), rng.randrange(len(words))
    endings = [re.sub(r"(s|ed|ing|ly)$", "", word) for word in words]
    return [" ".join(words[at:] + words[:at]), " ".join(words[:cut]), " ".join(rng.sample(words, len(words))), " ".join(endings)]


def main():
    rng = random.Random(7)
    pairs = [{k: p[k] for k in ("candidate", "reference")} for p in json.load(open(sys.argv[1]))["pairs"]]
    for pair in list(pairs):
        if pair["reference"].split():
            pairs += [{"candidate": c, "reference": pair["reference"]} for c in disturbed(pair["reference"], rng)]
    words = set(WORDS)
    if len(sys.argv) > 2:
        seen = sorted({w for line in gzip.open(sys.argv[2], "rt") for w in tokens(line.split("\t")[-1]) if w.isalpha()})
        words.update(rng.sample([w for w in seen if w.isascii()], 2000))
    stemmer = PorterStemmer()
    stems = {word: stemmer.stem(word) for word in sorted(words)}
    json.dump({"stems": stems, "pairs": [score(pair) for pair in pairs]}, sys.stdout, indent=0)


main()
