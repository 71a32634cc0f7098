"""`python -m lssed_hf` is the command `lssed-hf`."""

import sys

from .cli import main


sys.exit(main())
