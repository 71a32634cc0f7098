"""Preparation of corpora: Parquet folders for `datasets`, and statistics."""
