"""Truncated Whisper encoders with statistics pooling, for transformers.

Its modules import each other but nothing else of this package: a saved model folder holds copies of them, and opens
with `trust_remote_code=True` where the package is not installed.
"""
