"""The gold side of a split, from memory and from a folder."""

import dataclasses

import numpy as np
import pytest
from hand_made import chat_turn, dataset, dialogue, moment_turn, video_turn

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import SubmissionHeader
from ivcr_bench.scoring.gold import GoldTurns, Texts, dataset_named, gold_of

WORLD = dataset(
    dialogue("b", video_turn("f1", "f2"), moment_turn("f1", (0.0, 10.0), depends_on=(1,)), language="zh"),
    dialogue("v", chat_turn("hello"), split="val"),
    dialogue("a", chat_turn("hi", ()), video_turn("f3", response="here"), chat_turn("bye", (2,))),
)


@pytest.fixture
def folder(tmp_path):
    write_jsonl(tmp_path / "corpus.jsonl", WORLD.videos)
    write_jsonl(tmp_path / "dialogues.jsonl", WORLD.dialogues)
    return tmp_path


def same(one, other):
    for field in dataclasses.fields(GoldTurns):
        ours, theirs = getattr(one, field.name), getattr(other, field.name)
        if isinstance(ours, Texts):
            ours, theirs = list(ours), list(theirs)
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs, field.name


def test_columns_by_hand():
    gold = GoldTurns.of(WORLD, "test")
    assert list(gold.places) == ["b", "a"]
    assert gold.dialogue.tolist() == [0, 0, 1, 1, 1]
    assert gold.turn.tolist() == [1, 2, 1, 2, 3]
    assert gold.language.tolist() == [1, 1, 0, 0, 0]
    assert gold.intent.tolist() == [0, 1, 2, 0, 2]
    assert gold.dependent.tolist() == [False, True, False, False, True]
    assert gold.ancestors.tolist() == [[1, 0], [4, 3]]
    assert gold.targets[0].videos == ("f1", "f2")
    assert gold.references[3] == "here"
    assert gold.durations["f0"] == 100


@pytest.mark.parametrize("limit", [None, 1])
def test_a_stream_gives_what_memory_gives(folder, limit):
    # The dialogues stand unsorted in the file, so the fingerprint takes the second way, too.
    loaded = load_folder(folder)
    assert loaded.card.fingerprint == WORLD.card.fingerprint
    same(GoldTurns.read(str(folder), "test", limit), GoldTurns.of(loaded, "test", limit))


def test_the_header_says_which_turns():
    header = SubmissionHeader(format="ivcr-submission/1", split="val", limit=2, dataset="mini")
    gold = gold_of(header)
    assert (gold.dataset, gold.split, gold.limit, len(gold.places)) == ("mini", "val", 2, 2)


@pytest.mark.parametrize("named", ["..", "/etc", "tests", "mini-seed٣", "x" * 10_000, ""])
def test_a_header_cannot_name_a_folder(named):
    assert dataset_named(SubmissionHeader(format="ivcr-submission/1", dataset=named)) == "mini"


def test_what_the_user_says_comes_first():
    header = SubmissionHeader(format="ivcr-submission/1", dataset="mini-seed1")
    assert dataset_named(header) == "mini-seed1"
    assert dataset_named(header, "elsewhere") == "elsewhere"
    assert dataset_named(None) == "mini"


def test_a_split_without_dialogues_is_refused():
    with pytest.raises(IvcrError, match="hand-made: no dialogue has split 'train'"):
        GoldTurns.of(WORLD, "train")
