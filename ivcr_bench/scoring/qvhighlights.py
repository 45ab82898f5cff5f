"""Moment retrieval in the format of QVHighlights, which the evaluators of moment_detr and its heirs read.

There the film is given and only the moment is looked for; here a system has to name the film, too. So that their R@1 is
ours, a moment in another film than the canonical one becomes a window behind the end of the canonical one: it meets
nothing. A turn that was not answered, or under another intent, gets one such window, since their evaluators expect a
window for every query.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from ivcr_bench.schema import Dialogue, Interval, Moment, SubmissionTurn

Window = tuple[float, float, float]
"""Start and end in seconds, and the score that evaluators rank by."""


class GoldMoments(Struct, frozen=True):
    """A line of the gold file: a query and its right windows.

    Attributes:
        qid: counts the moment turns from 1, since the format wants a whole number.
        vid: the canonical film.
        duration: its length in seconds.
        dialogue_id, turn: which turn it is; evaluators pass over them.
    """

    qid: int
    query: str
    vid: str
    duration: float
    relevant_windows: tuple[Interval, ...]
    dialogue_id: str
    turn: int


class PredictedMoments(Struct, frozen=True):
    """A line of the file of predictions; the other fields are those of `GoldMoments`."""

    qid: int
    query: str
    vid: str
    duration: float
    pred_relevant_windows: tuple[Window, ...]
    dialogue_id: str
    turn: int


def gold_moments(dialogues: Iterable[Dialogue], durations: Mapping[str, float]) -> tuple[GoldMoments, ...]:
    """The gold of every moment-retrieval turn, in dataset order.

    Args:
        durations: seconds of each film, by film id.
    """
    turns = (
        (dialogue.dialogue_id, number, turn)
        for dialogue in dialogues
        for number, turn in enumerate(dialogue.turns, start=1)
        if turn.intent == "moment_retrieval"
    )
    return tuple(
        GoldMoments(
            qid=qid,
            query=turn.utterance,
            vid=turn.gold.videos[0],
            duration=durations[turn.gold.videos[0]],
            relevant_windows=turn.gold.moments,
            dialogue_id=dialogue_id,
            turn=number,
        )
        for qid, (dialogue_id, number, turn) in enumerate(turns, start=1)
    )


def predicted_moments(gold: Iterable[GoldMoments], answers: Iterable[SubmissionTurn]) -> Iterator[PredictedMoments]:
    """What ``answers`` say to each query of ``gold``, in its order; every query has at least one window."""
    moments: dict[tuple[str, int], tuple[Moment, ...]] = {
        (answer.dialogue_id, answer.turn): answer.moments
        for answer in answers
        if answer.status == "ok" and answer.intent == "moment_retrieval"
    }
    for query in gold:
        yield PredictedMoments(
            qid=query.qid,
            query=query.query,
            vid=query.vid,
            duration=query.duration,
            pred_relevant_windows=tuple(_windows(query, moments.get((query.dialogue_id, query.turn), ()))),
            dialogue_id=query.dialogue_id,
            turn=query.turn,
        )


def _windows(query: GoldMoments, moments: tuple[Moment, ...]) -> Iterator[Window]:
    """Scores fall from 1 in equal steps: the order of the list is the ranking."""
    end = max(query.duration, *(end for _, end in query.relevant_windows))
    nowhere = (end + 1, end + 2)
    spans = [(m.start, m.end) if m.video_id == query.vid else nowhere for m in moments] or [nowhere]
    for place, (start, stop) in enumerate(spans):
        yield start, stop, 1 - place / len(spans)
