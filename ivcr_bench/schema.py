"""The nouns of the benchmark: videos, dialogues, turns, requests, responses, submissions.

Each is a frozen ``msgspec.Struct`` that knows its own JSON form; `ivcr_bench.jsonl` reads and writes files of
them. Validation happens here and only here, so that code behind the boundary can trust what it holds.
None holds a reference to itself, so those that come by the hundred thousand are kept from the garbage collector
(``gc=False``), which would otherwise spend longer walking them than reading them takes.

Times are seconds from the start of the film. Turn numbers count from 1. Lists are ordered best first.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

Language = Literal["en", "zh"]
Split = Literal["train", "val", "test"]
Intent = Literal["video_retrieval", "moment_retrieval", "natural_dialogue"]
Behaviour = Literal["new_topic", "refine", "long2short", "short2long", "analogous", "chitchat"]
Status = Literal["ok", "refused", "malformed", "timeout", "system_error"]
HistoryMode = Literal["own", "gold"]
Scope = Literal["corpus", "candidates"]
QueryPolicy = Literal["last", "concat", "rewrite"]
"""What of a dialogue a retriever of single turns is asked: see docs/retrieval.md."""

INTENTS: tuple[Intent, ...] = get_args(Intent)
BEHAVIOURS: tuple[Behaviour, ...] = get_args(Behaviour)
LANGUAGES: tuple[Language, ...] = get_args(Language)
STATUSES: tuple[Status, ...] = get_args(Status)

Id = Annotated[str, Meta(min_length=1, max_length=512)]
TurnNumber = Annotated[int, Meta(ge=1)]
Interval = tuple[float, float]

SUBMISSION_FORMAT = "ivcr-submission/1"


class Video(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A film of the corpus.

    Attributes:
        path: relative to the dataset folder.
        duration: length in seconds.
        split: the split whose corpus holds the film; ``None`` puts it in the corpus of every split.
    """

    video_id: Id
    path: str
    duration: Annotated[float, Meta(gt=0)]
    source: str
    split: Split | None = None
    category: str | None = None
    title: str | None = None

    def in_corpus_of(self, split: Split) -> bool:
        """Whether queries of ``split`` range over this film."""
        return self.split in (None, split)


class Gold(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """What a turn should have been answered with.

    Attributes:
        videos: every relevant film, the canonical one first; empty for natural dialogue.
        moments: every right interval, in seconds of the canonical film; empty unless a moment is asked for.
        response: the reference text of the answer.
    """

    videos: tuple[Id, ...] = ()
    moments: tuple[Interval, ...] = ()
    response: str = ""

    def __post_init__(self) -> None:
        _reject_repeats(self.videos)
        for start, end in self.moments:
            _require_interval(start, end)


class Turn(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """One user utterance and its gold answer.

    Attributes:
        depends_on: the earlier turns (1-based) without which the utterance cannot be understood.
        candidates: ten film ids to re-rank, where the dataset gives them.
    """

    utterance: str
    intent: Intent
    behaviour: Behaviour
    gold: Gold
    depends_on: tuple[TurnNumber, ...] = ()
    candidates: tuple[Id, ...] | None = None

    def __post_init__(self) -> None:
        if self.intent != "natural_dialogue" and not self.gold.videos:
            raise ValueError(f"gold.videos is empty, expected a relevant film for {self.intent}")
        if self.intent == "moment_retrieval" and not self.gold.moments:
            raise ValueError("gold.moments is empty, expected an interval for moment_retrieval")


class Dialogue(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """A conversation of one user with one system; ``type`` is the pattern (0..7, see docs/ivcr-mini.md)."""

    dialogue_id: Id
    language: Language
    split: Split
    type: Annotated[int, Meta(ge=0, le=7)]
    turns: Annotated[tuple[Turn, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        for number, turn in enumerate(self.turns, start=1):
            late = [n for n in turn.depends_on if n >= number]
            if late:
                raise ValueError(f"turn {number} depends_on {late[0]}, expected earlier turns only")


class Moment(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True):
    """An interval of a film, in seconds."""

    video_id: Id
    start: float
    end: float
    score: float | None = None

    def __post_init__(self) -> None:
        _require_interval(self.start, self.end)
        if self.score is not None and not math.isfinite(self.score):
            raise ValueError(f"score is {self.score}, expected a finite number")


class Answer(Struct, frozen=True):
    """What the user was told: the part of a past turn that later turns may refer to."""

    intent: Intent
    videos: tuple[Id, ...] = ()
    moments: tuple[Moment, ...] = ()
    text: str = ""


class Response(Struct, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A system's answer to one request.

    Attributes:
        intent: the one intent that the answer commits to; ``None`` only where ``status`` is not ``ok``.
        videos: films of the corpus, best first.
        moments: intervals, best first; the first names the film that the answer stands for.
        tokens: tokens generated.
        raw: untouched model output; shown to readers, never scored.
    """

    intent: Intent | None = None
    videos: tuple[Id, ...] = ()
    moments: tuple[Moment, ...] = ()
    text: str = ""
    status: Status = "ok"
    tokens: Annotated[int, Meta(ge=0)] | None = None
    raw: str | None = None

    def __post_init__(self) -> None:
        _reject_repeats(self.videos)
        if self.intent is None and self.status == "ok":
            raise ValueError(f"intent is missing, expected one of {', '.join(INTENTS)}")


class Exchange(Struct, frozen=True):
    """A past turn as a system sees it. ``answer`` is ``None`` if the system failed on that turn."""

    utterance: str
    answer: Answer | None


class Request(Struct, frozen=True):
    """All that a system may know when it answers a turn. It has no field that could hold gold of this turn."""

    dialogue_id: Id
    turn: TurnNumber
    language: Language
    utterance: str
    history: tuple[Exchange, ...] = ()
    candidates: tuple[Id, ...] | None = None


class SubmissionTurn(Response, frozen=True, gc=False, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One line of ``submission.jsonl``: a response, and the turn that it answers."""

    dialogue_id: Id
    turn: TurnNumber
    latency_ms: Annotated[float, Meta(ge=0)] | None = None


class SubmissionHeader(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The optional first line of ``submission.jsonl``: how the answers came about."""

    format: Literal["ivcr-submission/1"]
    system: str | None = None
    dataset: str | None = None
    fingerprint: str | None = None
    split: Split | None = None
    history: HistoryMode | None = None
    scope: Scope | None = None
    limit: Annotated[int, Meta(ge=1)] | None = None
    harness: str | None = None
    sees_gold: bool = False


def gold_answer(turn: Turn) -> Answer:
    """The answer that a perfect system would have given; the history of ``--history gold``."""
    moments = tuple(Moment(video_id=turn.gold.videos[0], start=start, end=end) for start, end in turn.gold.moments)
    return Answer(intent=turn.intent, videos=turn.gold.videos, moments=moments, text=turn.gold.response)


def answer_of(response: Response) -> Answer | None:
    """The part of ``response`` that enters the history; ``None`` unless its status is ``ok``."""
    if response.status != "ok" or response.intent is None:
        return None
    return Answer(intent=response.intent, videos=response.videos, moments=response.moments, text=response.text)


def _require_interval(start: float, end: float) -> None:
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ValueError(f"interval is [{start}, {end}], expected finite seconds")
    if start < 0 or end < start:
        raise ValueError(f"interval is [{start}, {end}], expected 0 <= start <= end")


def _reject_repeats(videos: tuple[str, ...]) -> None:
    if len(set(videos)) != len(videos):
        seen: set[str] = set()
        repeated = next(v for v in videos if v in seen or seen.add(v))  # type: ignore[func-returns-value]
        raise ValueError(f"videos repeat {repeated!r}, expected each film once")
