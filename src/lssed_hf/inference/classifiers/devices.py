"""Choice of the device that a network runs on."""

import torch


def choose_device(device: str | torch.device | None = None) -> torch.device:
    """Return a device of torch that is there.

    Args:
        device: Name such as `cpu`, `cuda` or `cuda:1`; by default the GPU if there is one, else the CPU.

    Raises:
        ValueError: No device has that name, or this machine has none of it.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # torch raises all three
        found = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
        raise ValueError(
            f"device {str(device)!r} is not there: this machine has {', '.join(found)}; leave it out for the best one"
        ) from error
    return chosen
