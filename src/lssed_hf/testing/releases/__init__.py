"""Synthetic releases: each module writes one corpus's files and metadata, exactly laid out, spoken by eSpeak NG."""
