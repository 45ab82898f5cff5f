"""How sure a figure is, and whether two differ: resampling of whole dialogues, since turns of one are not independent.

`resampling` (what is drawn) -> `bootstrap` (intervals), `permutation` (differences) -> `ranks` (many differences).
Everything works on column sums of `ivcr_bench.scoring.metrics`; nothing here knows a metric. See docs/statistics.md.
"""
