"""Score a model on a split of a corpus; the same as `lssed-hf evaluate`."""

import sys

from lssed_hf.cli import main


if __name__ == "__main__":
    sys.exit(main(["evaluate", *sys.argv[1:]]))
