"""Parameters and arithmetic of every network of the zoo, as a Markdown table.

One 5 s clip as the network's own front end makes it, 4 labels; a multiply-add counts as 2, but for those of recurrent
layers, which do not count. The networks are on torch's meta device, without weights, so that this takes seconds.

    python benchmarks/count_flops.py
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

import lssed_hf
from lssed_hf.models.registry import create_feature_extractor


SECONDS, LABELS = 5, 4


def main() -> None:
    """Print the table."""
    print("| name | parameters | GFLOP |\n|---|---|---|")
    for name in lssed_hf.list_models():
        extractor = create_feature_extractor(name)
        frames = 1 + SECONDS * extractor.sampling_rate // extractor.hop_length
        with torch.device("meta"):
            model = lssed_hf.create_model(name, num_labels=LABELS).eval()
            features = torch.empty(1, frames, extractor.num_mel_bins)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(features)
        print(f"| {name} | {model.num_parameters():,} | {counter.get_total_flops() / 1e9:.2f} |")


if __name__ == "__main__":
    main()
