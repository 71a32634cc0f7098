"""Page and JSON endpoint of `lssed-hf serve` (docs/serve.md)."""
