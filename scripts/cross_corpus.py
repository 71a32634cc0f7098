"""`lssed-hf cross-corpus`, for `accelerate launch` and `torchrun`."""

from lssed_hf.cli import script


if __name__ == "__main__":
    script("cross-corpus")
