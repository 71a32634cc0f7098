"""Synthetic speech, interviews and releases, for tests, the demo and `lssed-hf synthesize`."""
