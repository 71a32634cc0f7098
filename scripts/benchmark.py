"""Train and compare systems under one recipe; the same as `lssed-hf benchmark`."""

import sys

from lssed_hf.cli import main


if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
