"""A made-up dataset folder and a submission about it: python benchmarks/score_world.py DIR TURNS

12,516 films; dialogues of 1 to 7 turns, English and Chinese in turn; questions of 24.5 words and answers of 124
(Chinese: 36 and 180 characters), as long as IVCR-200K's on average. Words are as frequent as Zipf's law has it, with
numbers and punctuation among them. An answer keeps three words of five of its reference. The submission is what a few
lines of Python would write: no header, every field in every line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ivcr_bench.data.dataset import DatasetCard
from ivcr_bench.data.fingerprint import RunningFingerprint
from ivcr_bench.jsonl import encode_line, write_jsonl
from ivcr_bench.schema import INTENTS, Dialogue, Gold, Intent, Interval, Language, Turn, Video

FILMS, LISTED = 12_516, 10
LENGTH_WEIGHTS = (0.04, 0.08, 0.14, 0.20, 0.24, 0.18, 0.12)
"""Of dialogues of 1 to 7 turns: 4.54 on average, so that 193,434 turns are some 42,600 dialogues."""
INTENT_WEIGHTS = (0.56, 0.31, 0.13)
DEPENDENT, RIGHT_INTENT, LISTED_AT_ALL, KEPT_WORDS = 0.55, 0.9, 0.8, 0.6


def main() -> None:
    make_world(Path(sys.argv[1]), int(sys.argv[2]))


def make_world(folder: Path, turns: int) -> None:
    """Write dataset.json, corpus.jsonl, dialogues.jsonl and submission.jsonl to ``folder``."""
    rng = np.random.default_rng(turns)
    videos = [
        Video(f"film-{n:05d}", f"videos/{n:05d}.mp4", float(rng.integers(20, 180)), "made-up") for n in range(FILMS)
    ]
    write_jsonl(folder / "corpus.jsonl", videos)
    running = RunningFingerprint(videos)
    world = _World(rng, videos)
    with (folder / "submission.jsonl").open("w", encoding="utf-8") as submission:

        def written() -> Iterator[Dialogue]:
            for dialogue in world.dialogues(turns):
                running.add(encode_line(dialogue))
                world.answer(dialogue, submission)
                yield dialogue

        write_jsonl(folder / "dialogues.jsonl", written())
    write_jsonl(folder / "dataset.json", [DatasetCard("made-up", running.end())])


class _World:
    def __init__(self, rng: np.random.Generator, videos: list[Video]) -> None:
        self._rng, self._videos = rng, videos
        self._speech: dict[Language, _Speech] = {"en": _english(rng), "zh": _chinese(rng)}

    def dialogues(self, turns: int) -> Iterator[Dialogue]:
        number = 0
        while turns > 0:
            number += 1
            length = min(turns, 1 + int(self._rng.choice(len(LENGTH_WEIGHTS), p=LENGTH_WEIGHTS)))
            language: Language = "en" if number % 2 else "zh"
            spoken = tuple(self._turn(place, self._speech[language]) for place in range(length))
            yield Dialogue(f"d-{number:06d}", language, "test", int(self._rng.integers(8)), spoken)
            turns -= length

    def _turn(self, place: int, speech: _Speech) -> Turn:
        rng = self._rng
        intent: Intent = INTENTS[rng.choice(3, p=INTENT_WEIGHTS)]
        return Turn(
            utterance=speech.text(speech.question),
            intent=intent,
            behaviour="refine" if place else "new_topic",
            gold=self._gold(intent, speech.text(speech.reply)),
            depends_on=(int(rng.integers(1, place + 1)),) if place and rng.random() < DEPENDENT else (),
        )

    def _gold(self, intent: Intent, response: str) -> Gold:
        if intent == "natural_dialogue":
            return Gold(response=response)
        film = self._videos[self._rng.integers(FILMS)]
        moments = (self._interval(film),) if intent == "moment_retrieval" else ()
        return Gold((film.video_id,), moments, response)

    def _interval(self, film: Video) -> Interval:
        start = round(self._rng.uniform(0, 0.7) * film.duration, 1)
        return start, round(start + self._rng.uniform(0.05, 0.3) * film.duration, 1)

    def answer(self, dialogue: Dialogue, out: TextIO) -> None:
        """Write one line a turn to ``out``."""
        for number, turn in enumerate(dialogue.turns, start=1):
            intent = turn.intent if self._rng.random() < RIGHT_INTENT else INTENTS[self._rng.integers(3)]
            line = {
                "dialogue_id": dialogue.dialogue_id,
                "turn": number,
                "intent": intent,
                "videos": self._listed(turn.gold) if intent == "video_retrieval" else [],
                "moments": self._moments(turn.gold) if intent == "moment_retrieval" else [],
                "text": self._speech[dialogue.language].vary(turn.gold.response),
            }
            out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _listed(self, gold: Gold) -> list[str]:
        """Ten films; the relevant one is likeliest the first."""
        films = [self._videos[n].video_id for n in self._rng.choice(FILMS, LISTED, replace=False).tolist()]
        rank = int(self._rng.geometric(0.5)) - 1
        if gold.videos and gold.videos[0] not in films and rank < LISTED and self._rng.random() < LISTED_AT_ALL:
            films[rank] = gold.videos[0]
        return films

    def _moments(self, gold: Gold) -> list[dict[str, Any]]:
        """Two moments of one film: the relevant one, often."""
        right = gold.videos and self._rng.random() < LISTED_AT_ALL
        number = int(gold.videos[0][5:]) if right else int(self._rng.integers(FILMS))
        film = self._videos[number]
        intervals = [self._interval(film), self._interval(film)]
        if gold.moments and right and self._rng.random() < 0.5:
            intervals[0] = gold.moments[0]
        return [{"video_id": film.video_id, "start": start, "end": end} for start, end in intervals]


class _Speech:
    """Texts of one language.

    Args:
        words: the commonest first.
        marks: what may follow a word, with its chance.
        space: between words.
        question, reply: words of a text, on average.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        words: list[str],
        marks: dict[str, float],
        space: str,
        question: float,
        reply: float,
    ) -> None:
        self._rng, self._space = rng, space
        self._words = np.array(words, object)
        weights = 1 / np.arange(1, len(words) + 1)
        self._frequency = np.cumsum(weights / weights.sum())
        self._marks = np.array(["", *marks], object)
        self._chance = np.cumsum([1 - sum(marks.values()), *marks.values()])
        self.question, self.reply = question, reply

    def text(self, mean: float) -> str:
        """Some ``mean`` words, and seldom less than a third or more than twice as many."""
        return self._space.join(self._draw(1 + self._rng.negative_binomial(8, 8 / (8 + mean - 1))))

    def vary(self, reference: str) -> str:
        """An answer: some words of the ``reference``, in their places, among others."""
        own = self._draw(1 + self._rng.negative_binomial(8, 8 / (8 + self.reply - 1)))
        kept = self._rng.random(len(own)) < KEPT_WORDS
        shared = reference.split(" ") if self._space else list(reference)
        for place in np.flatnonzero(kept[: len(shared)]).tolist():
            own[place] = shared[place]
        return self._space.join(own)

    def _draw(self, count: int) -> list[str]:
        words = self._words[np.searchsorted(self._frequency, self._rng.random(count)).clip(max=len(self._words) - 1)]
        marks = self._marks[np.searchsorted(self._chance, self._rng.random(count)).clip(max=len(self._marks) - 1)]
        drawn: list[str] = (words + marks).tolist()
        return drawn


def _english(rng: np.random.Generator) -> _Speech:
    """20,000 made-up words, common ones shorter, one of fifty a number or a time."""
    letters = np.array(list("etaoinshrdlucmfwygpbvk"))
    lengths = np.clip(np.log(np.arange(1, 20_001)) * 0.8 + 1.2 + rng.normal(0, 1.5, 20_000), 1, 14).astype(int)
    words = ["".join(rng.choice(letters, length)) for length in lengths]
    for place in range(25, len(words), 50):
        words[place] = str(rng.integers(2100)) if place % 100 == 25 else f"{rng.uniform(0, 180):.1f}"
    marks = {",": 0.05, ".": 0.05, ":": 0.002, "?": 0.005, "!": 0.003, ";": 0.002, "-": 0.002, '"': 0.004}
    return _Speech(rng, words, marks, " ", question=24.5, reply=124)


def _chinese(rng: np.random.Generator) -> _Speech:
    """3,000 characters; with its numbers and punctuation a text of 36 or 180 characters."""
    characters = [chr(0x4E00 + int(n)) for n in rng.permutation(3_000)]
    for place in range(40, len(characters), 80):
        characters[place] = f"{rng.uniform(0, 180):.1f}"
    marks = {"，": 0.06, "。": 0.03, "？": 0.005, "：": 0.002, "、": 0.005}
    return _Speech(rng, characters, marks, "", question=32, reply=160)


if __name__ == "__main__":
    main()
