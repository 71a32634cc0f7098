"""Page and JSON endpoint to try audio classifiers with (`lssed-hf serve`, docs/serve.md)."""
