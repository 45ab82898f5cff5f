"""What the harness itself costs a turn: the loop, the check of responses, the journal and the submission.

python benchmarks/replay.py [--turns 1000 10000 100000]

The system answers at once, and what it takes is taken off the seconds. Scoring is not part of a turn. On a busy machine
the processor's time is the figure to look at.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from ivcr_bench.data.dataset import Corpus, Dataset, DatasetCard, fingerprint
from ivcr_bench.replay.run import Settings, replay
from ivcr_bench.schema import INTENTS, Dialogue, Gold, Intent, Moment, Request, Response, Turn, Video

TURNS_A_DIALOGUE = 5
FILMS = 1000


class Instant:
    """Answers with ten films and a moment, all made beforehand."""

    name = "instant"
    intents: frozenset[Intent] = frozenset(INTENTS)
    reads_films = False

    def prepare(self, corpus: Corpus) -> None:
        films = tuple(video.video_id for video in corpus.videos[:10])
        moment = Moment(films[0], 1.25, 7.5, 0.75)
        text = "It is the film in which the red star circles a blue square, at night."
        self.response = Response(intent="video_retrieval", videos=films, moments=(moment,), text=text)

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        return [self.response] * len(requests)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    rows = [(turns, *measure(turns)) for turns in parser.parse_args().turns]
    table = [(turns, wall, wall / turns * 1e3, cpu / turns * 1e3) for turns, wall, cpu in rows]
    print(tabulate(table, ["turns", "seconds", "ms a turn", "cpu ms a turn"], floatfmt=("d", ".2f", ".4f", ".4f")))


def measure(turns: int) -> tuple[float, float]:
    """Wall and processor seconds of the harness for ``turns`` turns."""
    dataset = synthetic(turns)
    dialogues = dataset.split("test")
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu = time.perf_counter(), time.process_time()
        batches = replay(Instant(), "instant", dataset, dialogues, Path(folder), Settings(), resume=False)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall - sum(batch.seconds for batch in batches), cpu


def synthetic(turns: int) -> Dataset:
    """Dialogues of five turns each over a corpus of 1000 films."""
    videos = tuple(Video(f"film-{n:04}", f"videos/{n}.mp4", 60.0, "made-up") for n in range(FILMS))
    turn = Turn("the film with the red star, please", "video_retrieval", "new_topic", Gold(videos=("film-0001",)))
    count = turns // TURNS_A_DIALOGUE
    dialogues = tuple(Dialogue(f"talk-{n:06}", "en", "test", 1, (turn,) * TURNS_A_DIALOGUE) for n in range(count))
    return Dataset(Path("made-up"), DatasetCard("made-up", fingerprint(videos, dialogues)), videos, dialogues)


if __name__ == "__main__":
    main()
