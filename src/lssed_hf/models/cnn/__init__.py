"""The standard convolutional networks of timm for transformers. The modules carry no other import of this package, so
a saved model folder can hold copies of them and load with `trust_remote_code=True` where it is not installed."""
