"""Train a speech recogniser on any transcribed corpus; also for `accelerate launch` and `torchrun`."""

import sys

from lssed_hf.training.asr import main


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (ValueError, OSError, ImportError) as error:
        # What the package raises names the file or field and says what to do; a traceback would bury that.
        sys.exit(f"train_asr.py: error: {error}")
