"""Conversion of released checkpoints to folders for transformers."""
