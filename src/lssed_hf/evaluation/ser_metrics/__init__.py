"""The metric in a folder that `evaluate.load` takes; its module can also be imported."""
