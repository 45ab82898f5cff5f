"""From what VTimeLLM wrote to seconds: ours, and the authors' way with its faults."""

from __future__ import annotations

import re

from baselines.mllm.times import Found, Rule, first_found, pair_of

WHOLE = 100.0
"""Codes count percents of the film."""

_NUMBER = r"(?<![\d.:])(\d{1,3})(?![.:]?\d)\s*%?\s*(?:帧|frames?)?"
_FRAME = r"(?:frames?\s*|第\s*)"
_CODE = rf"{_FRAME}?{_NUMBER}"
_TO = r"(?:to|and|until|[-~到至和与])"
_TWO_DIGITS = r"(?<![\d.:])(\d{2})(?![.:]?\d)"
RULES: tuple[Rule, ...] = (
    ("from", pair_of(rf"(?:\b(?:from|between)|[从自由在])\s*{_CODE}\s*{_TO}\s*{_CODE}")),
    ("frames", pair_of(rf"{_FRAME}{_NUMBER}\s*{_TO}\s*{_CODE}")),
    ("to", pair_of(rf"{_TWO_DIGITS}\s*(?:to|and|[到至和])\s*{_TWO_DIGITS}")),
    ("dash", pair_of(r"(?<![\d.:-])(\d{1,3})\s*-\s*(\d{1,3})(?![.:-]?\d)")),
)
"""The two numbers after "from", else after "frame", else of two digits each with "to" between, else with a dash."""
_AUTHORS = re.compile(r"(\d{2}) (?:to|and) (\d{2})")


def parse(text: str, duration: float, *, legacy: bool = False) -> Found | None:
    """The moment that ``text`` names, in seconds; ``None`` if it names none.

    Codes above 100 count as 100, a reversed interval is turned round, one without length becomes a percent long.

    Args:
        duration: of the film, in seconds.
        legacy: as the authors read it: numbers of two digits only, be they parts of longer ones, and a reversed
            interval stays reversed.
    """
    if legacy:
        match = _AUTHORS.search(text)
        return (
            Found(float(match[1]) / WHOLE * duration, float(match[2]) / WHOLE * duration, "authors") if match else None
        )
    found = first_found(text, RULES, WHOLE, shortest=1.0)
    return found and Found(found.start / WHOLE * duration, found.end / WHOLE * duration, found.rule)


def authors_iou(text: str, gold: tuple[float, float], duration: float, *, legacy_rounding: bool = False) -> float:
    """The IoU that the authors' evaluation gives an answer; 0 if it names no moment.

    Args:
        gold: seconds.
        legacy_rounding: to two decimals before any threshold is applied, so that 0.495 reaches 0.5.
    """
    found = parse(text, duration, legacy=True)
    if found is None:
        return 0.0
    overlap = max(0.0, min(found.end, gold[1]) - max(found.start, gold[0]))
    iou = overlap / (max(found.end, gold[1]) - min(found.start, gold[0]))
    return round(iou, 2) if legacy_rounding else iou
