"""Time of forward, backward and update of PyResNet-50 on 16 clips of 5 s."""

from collections.abc import Callable, Iterator

import torch

import lssed_hf
from inference import FRAMES, plain
from timing import Case


BATCH = 16


def cases() -> Iterator[Case]:
    """Yield the comparisons of this file."""
    model = lssed_hf.create_model("pyresnet50", num_labels=4).train()
    features, labels = torch.randn(BATCH, FRAMES, 128), torch.randint(0, 4, (BATCH,))
    whole = torch.ones(BATCH, FRAMES, dtype=torch.int64)
    padded = whole.clone()
    padded[::2, FRAMES // 2 :] = 0
    contestants = {
        "NCHW, as the authors'": step(plain(model), features, labels, None),
        "as it comes": step(model, features, labels, None),
        "with a mask, nothing padded": step(model, features, labels, whole),
        "with a mask, half of the clips half padded": step(model, features, labels, padded),
    }
    if torch.cpu.get_capabilities().get("avx512_bf16"):  # emulated, it takes ten times as long
        contestants["bfloat16 (autocast)"] = step(model, features, labels, whole, torch.bfloat16)
    targets = {"as it comes": 2.0, "with a mask, nothing padded": 2.0}
    yield Case("a clip of a training step, PyResNet-50, batch 16", contestants, targets, repeats=4, per=BATCH)


def step(
    model: torch.nn.Module,
    features: torch.Tensor,
    labels: torch.Tensor,
    mask: torch.Tensor | None,
    autocast: torch.dtype | None = None,
) -> Callable[[], None]:
    """Return a function that does one update of a network."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    def run() -> None:
        with torch.autocast("cpu", autocast, enabled=autocast is not None):
            loss = model(features, attention_mask=mask, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return run
