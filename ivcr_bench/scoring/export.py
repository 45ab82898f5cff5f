"""The table of outcomes as a file: what every figure of a report is a fold over, for a reader's own analysis."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically
from ivcr_bench.schema import BEHAVIOURS, INTENTS, LANGUAGES, STATUSES
from ivcr_bench.scoring.escaping import escape_csv
from ivcr_bench.scoring.outcomes import Outcomes
from ivcr_bench.scoring.propagation import RULES
from ivcr_bench.scoring.text import ANSWER_TOKENS, MATCHES, REFERENCE_TOKENS, TOTALS

if TYPE_CHECKING:
    import pandas as pd


def export_outcomes(path: str | Path, outcomes: Outcomes, system: str) -> None:
    """Write ``outcomes`` to ``path``, one row a gold turn, as `outcomes_frame` lays them out.

    Args:
        path: ends in ``.parquet`` or ``.csv``.

    Raises:
        IvcrError: ``path`` has another ending, cannot be written, or is Parquet and pyarrow is not installed.
    """
    suffix = Path(path).suffix
    if suffix == ".parquet":
        _require_pyarrow(path)
        stream = io.BytesIO()
        outcomes_frame(outcomes, system).to_parquet(stream, engine="pyarrow", index=False)
        write_atomically(path, [stream.getvalue()])
    elif suffix == ".csv":
        frame = outcomes_frame(outcomes, escape_csv(system))
        write_atomically(path, [frame.to_csv(index=False, lineterminator="\n").encode()])
    else:
        raise IvcrError(f"{path}: found the ending {suffix!r}, expected .parquet or .csv")


def outcomes_frame(outcomes: Outcomes, system: str) -> pd.DataFrame:
    """One row a gold turn, in dataset order, with words in place of indices.

    ``rank`` is null except for video turns (0: not listed), ``iou`` and ``film_right`` except for moment turns,
    ``answered_intent`` where there was no answer. ``alive_RULE`` says whether the turn counts under that rule of
    propagation. ``matches_N`` of ``ngrams_N`` n-grams of the answer are in the reference.
    """
    import pandas as pd

    video, moment = outcomes.asks("video_retrieval"), outcomes.asks("moment_retrieval")
    statuses = np.where(outcomes.status < 0, len(STATUSES), outcomes.status)
    return pd.DataFrame(
        {
            "system": _labels(np.zeros(len(outcomes), np.int8), [system]),
            "dialogue_id": np.array(outcomes.dialogue_ids, object)[outcomes.dialogue],
            "turn": outcomes.turn,
            "language": _labels(outcomes.language, LANGUAGES),
            "type": outcomes.type,
            "intent": _labels(outcomes.intent, INTENTS),
            "behaviour": _labels(outcomes.behaviour, BEHAVIOURS),
            "dependent": outcomes.dependent,
            "status": _labels(statuses, (*STATUSES, "missing")),
            "answered_intent": _labels(outcomes.answered_intent, INTENTS),
            "intent_right": outcomes.intent_right,
            "credited": outcomes.credited,
            "succeeded": outcomes.succeeded,
            "rank": pd.arrays.IntegerArray(outcomes.rank.copy(), ~video),
            "film_right": pd.arrays.BooleanArray(outcomes.film_right.copy(), ~moment),
            "iou": np.where(moment, outcomes.iou, np.nan),
            **{f"alive_{rule}": alive(outcomes) for rule, alive in RULES.items() if rule != "none"},
            "has_reference": outcomes.has_reference,
            **_ngram_columns(outcomes.ngrams),
        }
    )


def _labels(codes: NDArray[np.integer[Any]], names: Sequence[str]) -> pd.Categorical[str]:
    """Index -> word; an index below 0 is null."""
    import pandas as pd

    return pd.Categorical.from_codes(codes, pd.Index(names))


def _ngram_columns(ngrams: NDArray[np.int32]) -> dict[str, NDArray[np.int32]]:
    matches, totals = ngrams[:, MATCHES], ngrams[:, TOTALS]
    return {
        **{f"matches_{n}": column for n, column in enumerate(matches.T, start=1)},
        **{f"ngrams_{n}": column for n, column in enumerate(totals.T, start=1)},
        "answer_tokens": ngrams[:, ANSWER_TOKENS],
        "reference_tokens": ngrams[:, REFERENCE_TOKENS],
    }


def _require_pyarrow(path: str | Path) -> None:
    if find_spec("pyarrow") is None:
        raise IvcrError(
            f"{path}: writing Parquet needs pyarrow, which is not installed",
            hint="pip install 'ivcr-bench[parquet]', or name a .csv file",
        )
