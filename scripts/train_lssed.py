"""Train any audio classifier on any corpus; the same as `lssed-hf train`, for `accelerate launch` and `torchrun`."""

import sys

from lssed_hf.cli import main


if __name__ == "__main__":
    sys.exit(main(["train", *sys.argv[1:]]))
