"""From answers to figures: each turn is judged once (`outcomes`), every figure is a fold over those rows.

`outcomes` -> `propagation` (which turns still count) -> `metrics` -> `report` -> `tables`. Nothing here loads a model.
"""
