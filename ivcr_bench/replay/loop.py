"""The loop that everything serves: all dialogues in lockstep, turn 1 of all, then turn 2 of all that have one.

With history ``own`` a request is made of earlier utterances and of the system's own answers; nothing here reads a gold
field then. A failure of the system is a status on its turn, and its text goes nowhere near a history.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.replay.admission import Failure, admit
from ivcr_bench.schema import (
    Dialogue,
    Exchange,
    HistoryMode,
    Request,
    Scope,
    SubmissionTurn,
    TurnNumber,
    answer_of,
    gold_answer,
)
from ivcr_bench.systems.protocol import System


class Batch(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A finished batch; one line of the journal.

    Attributes:
        turn: the turn number that its dialogues have reached.
        number: counts the batches of that turn, from 1.
        seconds: how long the system took, retries included.
        answers: in the order of the dialogues.
        failures: why answers are ``malformed`` or ``system_error``; for the person who runs the system.
    """

    turn: TurnNumber
    number: Annotated[int, Meta(ge=1)]
    seconds: Annotated[float, Meta(ge=0)]
    answers: tuple[SubmissionTurn, ...]
    failures: tuple[str, ...] = ()


Done = Mapping[tuple[int, int], Batch]
"""(turn, number) -> a batch that was answered before."""


def play(
    system: System,
    dialogues: Sequence[Dialogue],
    corpus: Corpus,
    done: Done,
    *,
    history: HistoryMode,
    scope: Scope,
    batch_size: int,
) -> Iterator[Batch]:
    """Ask ``system`` (prepared for ``corpus``) every turn; yield each batch once it is answered.

    Batches are the same in every run, so batches of an earlier run (``done``) are yielded as they are.

    Raises:
        IvcrError: a batch of ``done`` answers other dialogues.
    """
    pasts: dict[str, tuple[Exchange, ...]] = {dialogue.dialogue_id: () for dialogue in dialogues}
    turn, reached = 1, list(dialogues)
    while reached:
        for number, part in enumerate(_chunks(reached, batch_size), start=1):
            batch = done.get((turn, number))
            if batch is None:
                requests = tuple(_request(d, turn, pasts[d.dialogue_id], scope) for d in part)
                batch = _answer(system, requests, corpus, number)
            elif [a.dialogue_id for a in batch.answers] != [d.dialogue_id for d in part]:
                raise IvcrError(f"journal: batch {number} of turn {turn} answers other dialogues than it should")
            for dialogue, answer in zip(part, batch.answers, strict=True):
                asked = dialogue.turns[turn - 1]
                told = gold_answer(asked) if history == "gold" else answer_of(answer)
                pasts[dialogue.dialogue_id] += (Exchange(asked.utterance, told),)
            yield batch
        turn += 1
        reached = [dialogue for dialogue in reached if len(dialogue.turns) >= turn]


def _chunks(dialogues: Sequence[Dialogue], size: int) -> Iterator[Sequence[Dialogue]]:
    return (dialogues[start : start + size] for start in range(0, len(dialogues), size))


def _request(dialogue: Dialogue, turn: int, past: tuple[Exchange, ...], scope: Scope) -> Request:
    asked = dialogue.turns[turn - 1]
    candidates = asked.candidates if scope == "candidates" else None
    return Request(dialogue.dialogue_id, turn, dialogue.language, asked.utterance, past, candidates)


def _answer(system: System, requests: tuple[Request, ...], corpus: Corpus, number: int) -> Batch:
    start = time.perf_counter()
    outcomes = _respond(system, requests)
    seconds = time.perf_counter() - start
    admitted = [admit(outcome, request, corpus) for outcome, request in zip(outcomes, requests, strict=True)]
    failures = tuple(
        f"dialogue {answer.dialogue_id!r}, turn {answer.turn}: {answer.status}: {reason}"
        for answer, reason in admitted
        if reason is not None
    )
    return Batch(requests[0].turn, number, seconds, tuple(answer for answer, _ in admitted), failures)


def _respond(system: System, requests: tuple[Request, ...]) -> list[object]:
    """One outcome a request: what the system returned, or a `Failure`; a batch that fails is asked one by one."""
    alone = len(requests) == 1
    try:
        responses: list[object] = list(system.respond(requests))
    except Exception as error:
        if alone:
            return [Failure("system_error", _describe(error))]
    else:
        if len(responses) == len(requests):
            return responses
        if alone:
            return [Failure("malformed", f"found {len(responses)} responses to one request, expected 1")]
    return [outcome for request in requests for outcome in _respond(system, (request,))]


def _describe(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} (at {place.filename}:{place.lineno})"
