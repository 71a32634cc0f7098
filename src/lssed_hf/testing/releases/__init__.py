"""Synthetic releases: each module writes the files and metadata of one corpus in its exact layout."""
