"""From raw corpora to folders that anyone can load: preparation, statistics, synthetic releases to try them on."""
