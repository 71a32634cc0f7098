"""Train a speech recogniser on any transcribed corpus; also for `accelerate launch` and `torchrun`."""

from lssed_hf.cli import script


if __name__ == "__main__":
    script("train_asr")
