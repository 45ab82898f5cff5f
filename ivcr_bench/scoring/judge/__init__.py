"""Judges of the text of an answer: four buckets of relevance, as in the paper; see docs/judge.md."""
