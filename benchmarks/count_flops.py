"""Parameters and arithmetic of every network of the zoo, as a Markdown table.

One 5 s clip of 157 frames and 128 mel bins, 4 labels; a multiply-add counts as 2. The networks are on torch's meta
device, without weights, so that this takes seconds.

    python benchmarks/count_flops.py
"""

import torch
from torch.utils.flop_counter import FlopCounterMode

import lssed_hf


FRAMES, MEL_BINS, LABELS = 157, 128, 4


def main() -> None:
    print("| name | parameters | GFLOP |\n|---|---|---|")
    for name in lssed_hf.list_models():
        with torch.device("meta"):
            model, features = lssed_hf.create_model(name, num_labels=LABELS).eval(), torch.empty(1, FRAMES, MEL_BINS)
        counter = FlopCounterMode(display=False)
        with counter, torch.no_grad():
            model(features)
        print(f"| {name} | {model.num_parameters():,} | {counter.get_total_flops() / 1e9:.2f} |")


if __name__ == "__main__":
    main()
