"""What ESPnet's BatchBeamSearch finds in random tables, for tests/models/espnet/test_generation_espnet_asr.py.

    .venv-espnet/bin/python tests/espnet_parity/search_oracle.py tests/models/espnet/fixtures

Where oracle.py searches with whole models, this varies the options of the search.
"""

import argparse
import importlib.metadata
import json
import logging
from pathlib import Path

import oracle  # noqa: F401 - it puts stubs where ESPnet imports too much, and the tests' folder on the path
import torch
from espnet.nets.batch_beam_search import BatchBeamSearch
from espnet.nets.scorer_interface import BatchScorerInterface
from espnet.nets.scorers.ctc import CTCPrefixScorer
from espnet.nets.scorers.length_bonus import LengthBonus
from tiny_tables import TinyDecoder, random_logits


VOCAB_SIZE = 11
# Beams stay so small that there are always enough possible hypotheses: ESPnet fills up with impossible ones, of which
# those with a blank become possible again.
OPTIONS = {
    "joint": {"num_beams": 3, "ctc_weight": 0.3},
    "bonus": {"num_beams": 4, "ctc_weight": 0.5, "penalty": 0.6},
    "ratios": {"num_beams": 5, "ctc_weight": 0.5, "penalty": -0.5, "maxlenratio": 0.5, "minlenratio": 0.1},
    "attention": {"num_beams": 3, "ctc_weight": 0.0, "penalty": 0.3, "maxlenratio": -6, "minlenratio": -2},
    "ctc": {"num_beams": 4, "ctc_weight": 1.0, "penalty": 0.4, "minlenratio": 0.2},
    "narrow": {"num_beams": 2, "ctc_weight": 0.7, "maxlenratio": 0.8},
    "wide": {"num_beams": 6, "ctc_weight": 0.3, "penalty": 1.0, "minlenratio": -3},
}


class Decoder(BatchScorerInterface, torch.nn.Module):
    def __init__(self, seed: int):
        super().__init__()
        self.decoder = TinyDecoder(VOCAB_SIZE, seed)

    def batch_score(self, ys, states, xs):
        return self.decoder.log_probs(self.decoder.read(ys, xs.mean(1))), [None] * len(ys)


class Ctc(torch.nn.Module):
    def log_softmax(self, hidden):
        return hidden.log_softmax(dim=2)


def search(seed: int, frames: int, num_beams, ctc_weight, penalty=0.0, maxlenratio=0.0, minlenratio=0.0) -> dict:
    end = VOCAB_SIZE - 1
    find = BatchBeamSearch(
        beam_size=num_beams,
        vocab_size=VOCAB_SIZE,
        weights={"decoder": 1 - ctc_weight, "ctc": ctc_weight, "length_bonus": penalty},
        scorers={
            "decoder": Decoder(seed),
            "ctc": CTCPrefixScorer(ctc=Ctc(), eos=end),
            "length_bonus": LengthBonus(VOCAB_SIZE),
        },
        sos=end,
        eos=end,
        pre_beam_score_key=None if ctc_weight == 1 else "full",
    )
    logits = random_logits(1, frames, VOCAB_SIZE, seed=100 + seed)
    best = find(x=logits[0], maxlenratio=maxlenratio, minlenratio=minlenratio)[: min(3, num_beams)]
    return {
        "seed": seed,
        "frames": frames,
        "sequences": [hypothesis.yseq.tolist() for hypothesis in best],
        "scores": [round(float(hypothesis.score), 8) for hypothesis in best],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output_dir", type=Path)
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    searches = {name: [search(seed, 6 + seed, **options) for seed in range(12)] for name, options in OPTIONS.items()}
    content = {
        "espnet": importlib.metadata.version("espnet"),
        "vocab_size": VOCAB_SIZE,
        "options": OPTIONS,
        "searches": searches,
    }
    (args.output_dir / "search.json").write_text(json.dumps(content) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
