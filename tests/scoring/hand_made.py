"""Datasets and submissions small enough to score by hand: films f0, f1, ... of 100 s each."""

from pathlib import Path

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.schema import Dialogue, Gold, Moment, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring import report
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.outcomes import judge_turns
from ivcr_bench.submission import Submission


def video_turn(*relevant, depends_on=(), response=""):
    gold = Gold(videos=relevant, response=response)
    return Turn("find it", "video_retrieval", "new_topic", gold, depends_on=depends_on)


def moment_turn(film, *moments, depends_on=(), response=""):
    gold = Gold(videos=(film,), moments=moments, response=response)
    return Turn("when?", "moment_retrieval", "long2short", gold, depends_on=depends_on)


def chat_turn(response="", depends_on=()):
    return Turn("hello", "natural_dialogue", "chitchat", Gold(response=response), depends_on=depends_on)


def dialogue(name, *turns, language="en", split="test"):
    return Dialogue(dialogue_id=name, language=language, split=split, type=1, turns=turns)


def dataset(*dialogues, films=20):
    videos = tuple(Video(f"f{i}", f"videos/f{i}.mp4", 100.0, "hand") for i in range(films))
    card = DatasetCard(name="hand-made", fingerprint=fingerprint(videos, dialogues))
    return Dataset(Path("hand-made"), card, videos, dialogues)


def ranked(name, number, *videos, **fields):
    """An answer to a video turn."""
    return SubmissionTurn(dialogue_id=name, turn=number, intent="video_retrieval", videos=videos, **fields)


def located(name, number, film, start, end, **fields):
    """An answer to a moment turn."""
    moments = (Moment(film, start, end),)
    return SubmissionTurn(dialogue_id=name, turn=number, intent="moment_retrieval", moments=moments, **fields)


def said(name, number, text, **fields):
    """An answer to a natural-dialogue turn."""
    return SubmissionTurn(dialogue_id=name, turn=number, intent="natural_dialogue", text=text, **fields)


def submission(*answers, **header):
    """A submission; with a header only if it is to say something."""
    return Submission(SubmissionHeader(format="ivcr-submission/1", **header) if header else None, answers)


def gold_of(world, split="test", limit=None):
    return GoldTurns.of(world, split, limit)


def judge(talks, answers, **options):
    """Outcomes of ``answers`` to the dialogues ``talks``."""
    return judge_turns(gold_of(dataset(*talks)), answers, **options)


def score(world, split, answers, *, limit=None, intervals=False, **options):
    """A report; without intervals unless they are asked for, since they take longer than all the rest."""
    limit = limit or (answers.header and answers.header.limit)
    return report.score(gold_of(world, split, limit), answers, intervals=intervals, **options)
