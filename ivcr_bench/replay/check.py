"""``ivcr-bench check``: what is wrong with a system, found before a long run is spent on it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.replay.loop import Batch, play
from ivcr_bench.schema import INTENTS, Dialogue, HistoryMode, Request, Response, Scope, SubmissionTurn
from ivcr_bench.systems.protocol import System

SLOW_SECONDS = 2.0
"""A system that takes longer a turn is slow."""

MINI_TEST_TURNS = 600
SAME_SECONDS = 1e-3
"""Moments that differ by less are the same: sums in another order differ in the last bits."""


class Verdict(NamedTuple):
    """The outcome of one check.

    Attributes:
        what: what a system has to do.
        problems: where it does not; empty if the check is passed.
        note: what else there is to say.
        warns: a problem is no fault, but something to know.
    """

    what: str
    problems: tuple[str, ...] = ()
    note: str = ""
    warns: bool = False

    @property
    def failed(self) -> bool:
        """Whether the system must be mended."""
        return bool(self.problems) and not self.warns


def check_system(system: System, dialogues: Sequence[Dialogue], corpus: Corpus) -> Iterator[Verdict]:
    """Check ``system``, not yet prepared, on ``dialogues`` about ``corpus``; yield verdicts as they are reached.

    If it cannot be prepared or gives malformed answers, the later checks are left out.
    """
    prepared = _check_prepare(system, corpus)
    yield prepared
    if prepared.failed:
        return
    yield Verdict("declares its intents", tuple(_intent_problems(system)), ", ".join(sorted(system.intents)))
    first = _Play(system, dialogues, corpus)
    yield Verdict("answers every turn as the protocol says", first.failures, f"{len(first.answers)} turns")
    if first.failures:
        return
    yield Verdict("keeps to the intents that it declares", tuple(_undeclared(system, first.answers)))
    shaken = _Play(_FailsFirst(system), dialogues, corpus)
    yield Verdict("goes on after a turn that failed", shaken.failures)
    narrow = _Play(system, dialogues, corpus, scope="candidates")
    yield Verdict("ranks the candidates alone where it is given some", (*narrow.failures, *_strays(dialogues, narrow)))
    yield from _check_steadiness(system, dialogues, corpus)
    yield _check_speed(first)


class _Play:
    """The dialogues, played once."""

    def __init__(
        self,
        system: System,
        dialogues: Sequence[Dialogue],
        corpus: Corpus,
        *,
        history: HistoryMode = "own",
        scope: Scope = "corpus",
        batch_size: int | None = None,
    ) -> None:
        size = batch_size or len(dialogues)
        played = play(system, dialogues, corpus, {}, history=history, scope=scope, batch_size=size)
        batches: list[Batch] = list(played)
        self.answers: list[SubmissionTurn] = [answer for batch in batches for answer in batch.answers]
        self.failures = tuple(chain.from_iterable(batch.failures for batch in batches))
        self.seconds = sum(batch.seconds for batch in batches)


class _FailsFirst:
    """``system``, as if it had failed on every first turn."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.name, self.intents = system.name, system.intents

    def prepare(self, corpus: Corpus) -> None:
        """Nothing: the system is prepared."""

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """Refuse if it is the first turn."""
        if requests[0].turn == 1:
            return [Response(status="refused") for _ in requests]
        return self._system.respond(requests)


def _check_prepare(system: System, corpus: Corpus) -> Verdict:
    start = time.perf_counter()
    try:
        system.prepare(corpus)
    except IvcrError as error:
        return Verdict("prepares for a corpus", (str(error),))
    except Exception as error:
        lines = traceback.format_exception(error, limit=-3)
        return Verdict("prepares for a corpus", ("".join(lines).rstrip(),))
    return Verdict("prepares for a corpus", note=f"{len(corpus)} films in {time.perf_counter() - start:.2f} s")


def _intent_problems(system: System) -> Iterator[str]:
    if not system.intents:
        yield f"intents: found none, expected some of {', '.join(INTENTS)}"
    for intent in system.intents:
        if intent not in INTENTS:
            yield f"intents: found {intent!r}, expected some of {', '.join(INTENTS)}"


def _undeclared(system: System, answers: Sequence[SubmissionTurn]) -> Iterator[str]:
    for answer in answers:
        if answer.status == "ok" and answer.intent not in system.intents:
            yield f"{_place(answer)}: field 'intent': found {answer.intent!r}, which the system does not declare"


def _strays(dialogues: Sequence[Dialogue], played: _Play) -> Iterator[str]:
    turns = {(d.dialogue_id, number): turn for d in dialogues for number, turn in enumerate(d.turns, start=1)}
    for answer in played.answers:
        candidates = turns[answer.dialogue_id, answer.turn].candidates
        strays = [v for v in answer.videos if candidates is not None and v not in candidates]
        if strays and answer.intent == "video_retrieval":
            yield f"{_place(answer)}: field 'videos': found {strays[0]!r}, expected the candidates of the request only"


def _check_steadiness(system: System, dialogues: Sequence[Dialogue], corpus: Corpus) -> Iterator[Verdict]:
    """Gold history makes the requests of all plays the same, whatever was answered before."""
    once = _Play(system, dialogues, corpus, history="gold")
    again = _Play(system, dialogues, corpus, history="gold")
    yield Verdict("answers the same question the same way", tuple(_differences(once, again)), warns=True)
    alone = _Play(system, dialogues, corpus, history="gold", batch_size=1)
    yield Verdict("answers the same way in any batch", tuple(_differences(once, alone)), warns=True)


def _differences(one: _Play, other: _Play) -> Iterator[str]:
    others = {(answer.dialogue_id, answer.turn): answer for answer in other.answers}
    for answer in one.answers:
        twin = others[answer.dialogue_id, answer.turn]
        for field in ("status", "intent", "videos", "text"):
            found, expected = getattr(twin, field), getattr(answer, field)
            if found != expected:
                yield f"{_place(answer)}: field {field!r}: found {_short(found)}, then {_short(expected)}"
                break
        else:
            if not _same_moments(answer, twin):
                yield f"{_place(answer)}: field 'moments': found {_short(twin.moments)}, then {_short(answer.moments)}"


def _same_moments(one: Response, other: Response) -> bool:
    return len(one.moments) == len(other.moments) and all(
        a.video_id == b.video_id and abs(a.start - b.start) < SAME_SECONDS and abs(a.end - b.end) < SAME_SECONDS
        for a, b in zip(one.moments, other.moments, strict=True)
    )


def _check_speed(played: _Play) -> Verdict:
    mean = played.seconds / len(played.answers)
    note = f"{1000 * mean:.3g} ms a turn"
    if mean <= SLOW_SECONDS:
        return Verdict("is quick enough", note=note)
    hours = mean * MINI_TEST_TURNS / 3600
    return Verdict(
        "is quick enough", (f"{note}: the {MINI_TEST_TURNS} turns of IVCR-Mini take {hours:.1f} h",), warns=True
    )


def _place(answer: SubmissionTurn) -> str:
    return f"dialogue {answer.dialogue_id!r}, turn {answer.turn}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
