"""ivcr-bench: a benchmark harness for Interactive Video Corpus Retrieval (IVCR)."""

__version__ = "0.1.0"
