"""Train on each corpus and test on the others; the same as `lssed-hf cross-corpus`."""

import sys

from lssed_hf.cli import main


if __name__ == "__main__":
    sys.exit(main(["cross-corpus", *sys.argv[1:]]))
