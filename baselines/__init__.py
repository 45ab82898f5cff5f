"""The models that the benchmark compares, implemented and trained in this repository."""
