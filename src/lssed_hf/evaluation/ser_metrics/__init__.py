"""The metric as a folder that `evaluate.load` takes; it is also importable like any other module of the package."""
