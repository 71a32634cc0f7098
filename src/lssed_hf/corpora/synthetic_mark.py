"""Mark of releases that `lssed-hf synthesize` writes.

It has a module of its own, because a corpus's place in the cache changes with every module that its reader imports.
"""

#: Start of the README.txt of a synthetic release.
SYNTHETIC_MARK = "Synthetic speech, not "
