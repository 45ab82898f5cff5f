"""Video retrieval as a TREC run and qrels, for ``trec_eval``, ``ir_measures`` and whatever else reads them.

    run     QUERY Q0 FILM RANK SCORE SYSTEM       qrels     QUERY 0 FILM 1

A query is a video-retrieval turn: its dialogue's id, a dot, the turn number. The order of a list is its ranking, so the
scores are whole numbers that fall by one: no two are equal, and none is rounded where a reader keeps 32-bit floats. An
answer that scores nothing here (another intent, a status other than ok) has no lines; its query stays in the qrels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from ivcr_bench.schema import SubmissionTurn
from ivcr_bench.scoring.gold import GoldTurns

_UNSAFE = re.compile(r"[%\s\x00-\x1f\x7f]")


def query_id(dialogue_id: str, turn: int) -> str:
    """The name of a turn as a query; unequal turns have unequal names.

    >>> query_id("dialogue 7", 2)
    'dialogue%207.2'
    """
    return f"{field(dialogue_id)}.{turn}"


def field(text: str) -> str:
    """``text`` without white space, which separates fields, percent-encoded as in a URL; other texts are kept.

    >>> field("a b%"), field("X-Pool")
    ('a%20b%25', 'X-Pool')
    """
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def qrels_lines(gold: GoldTurns) -> Iterator[bytes]:
    """The relevant films of every video-retrieval turn, in dataset order."""
    for dialogue_id, place in gold.places.items():
        targets = gold.targets[place.first_row : place.first_row + place.turns]
        for number, target in enumerate(targets, start=1):
            if target.intent == "video_retrieval":
                query = query_id(dialogue_id, number)
                yield from (f"{query} 0 {field(film)} 1\n".encode() for film in target.videos)


def run_lines(gold: GoldTurns, answers: Iterable[tuple[int, SubmissionTurn]], system: str) -> Iterator[bytes]:
    """The films that ``answers`` list for video-retrieval turns, best first.

    Args:
        answers: (row of ``gold``, answer), as `ivcr_bench.scoring.checking.checked_answers` yields them.
        system: the name of the run.
    """
    tag = field(system)
    for row, answer in answers:
        if answer.status == "ok" and answer.intent == gold.targets[row].intent == "video_retrieval":
            query, films = query_id(answer.dialogue_id, answer.turn), answer.videos
            for rank, film in enumerate(films, start=1):
                yield f"{query} Q0 {field(film)} {rank} {len(films) - rank + 1} {tag}\n".encode()
