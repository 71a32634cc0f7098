"""Fine-tune models for depression detection; the same as `lssed-hf finetune-daic`, for `accelerate launch`."""

import sys

from lssed_hf.cli import main


if __name__ == "__main__":
    sys.exit(main(["finetune-daic", *sys.argv[1:]]))
