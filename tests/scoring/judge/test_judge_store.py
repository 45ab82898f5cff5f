"""The verdict store: what is put is found again, whatever happens to the process or to the files."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.store import Attempt, Record, Usage, VerdictStore, key_of

ITEM = JudgeItem("d1", 1, "en", ("find a cat",), "a cat in the snow", "a cat")
KEY = key_of("0123456789ab", ITEM)
RECORD = Record(
    Verdict(Label.MODERATELY, ("a cat",), ("contradiction",)),
    raw='{"label": "好"}\n',
    usage=Usage(700, 80),
    latency_s=1.5,
    attempts=(Attempt("429", latency_s=0.1), Attempt("ok", Usage(700, 80), 0.9)),
)
FAILED = Record(Verdict(None, error="timeout"))


def key(number: int) -> str:
    return key_of("0123456789ab", JudgeItem("d", 1, "en", (), "r", f"c{number}"))


def test_what_is_put_is_found_at_once_and_after_reopening(tmp_path):
    with VerdictStore(tmp_path / "store") as store:
        assert store.get(KEY) is None
        store.put(KEY, RECORD)
        assert store.get(KEY) == RECORD
        assert KEY in store
    with VerdictStore(tmp_path / "store") as store:
        assert store.get(KEY) == RECORD
        assert len(store) == 1


def test_the_last_record_of_a_key_counts(tmp_path):
    with VerdictStore(tmp_path) as store:
        store.put(KEY, FAILED)
    with VerdictStore(tmp_path) as store:
        assert store.get(KEY) == FAILED
        store.put(KEY, RECORD)
    with VerdictStore(tmp_path) as store:
        assert store.get(KEY) == RECORD


def test_keys_are_of_judge_texts_and_repeat_and_not_of_the_turn():
    same = JudgeItem("other", 9, "en", ("find a cat",), "a cat in the snow", "a c\u200bat")
    assert key_of("0123456789ab", same) == KEY
    others = [
        key_of("ba9876543210", ITEM),
        key_of("0123456789ab", JudgeItem("d1", 1, "zh", ("find a cat",), "a cat in the snow", "a cat")),
        key_of("0123456789ab", JudgeItem("d1", 1, "en", (), "find a cat", "a cat in the snow", 0)),
        key_of("0123456789ab", JudgeItem("d1", 1, "en", ("find a cat",), "a cat in the snow", "a dog")),
        key_of("0123456789ab", JudgeItem("d1", 1, "en", ("find a cat",), "a cat in the snow", "a cat", 1)),
    ]
    assert len({KEY, *others}) == 6


def test_a_line_cut_short_is_passed_over_and_what_follows_is_kept(tmp_path):
    with VerdictStore(tmp_path) as store:
        store.put(key(1), RECORD)
        store.put(key(2), RECORD)
    shard = tmp_path / "verdicts-000001.jsonl"
    shard.write_bytes(shard.read_bytes()[:-10])
    with VerdictStore(tmp_path) as store:
        assert key(1) in store
        assert key(2) not in store
        store.put(key(3), RECORD)
    with VerdictStore(tmp_path) as store:
        assert [number for number in (1, 2, 3) if key(number) in store] == [1, 3]


def test_a_changed_line_is_an_error_that_names_it(tmp_path):
    with VerdictStore(tmp_path) as store:
        store.put(key(1), RECORD)
        store.put(key(2), RECORD)
    shard = tmp_path / "verdicts-000001.jsonl"
    shard.write_bytes(shard.read_bytes().replace(b"moderately", b"highly", 1))
    with pytest.raises(IvcrError, match=r"verdicts-000001\.jsonl:1: the verdict does not fit its checksum"):
        VerdictStore(tmp_path)


def test_a_second_writer_is_refused_and_a_reader_is_not(tmp_path):
    with VerdictStore(tmp_path) as store:
        store.put(key(1), RECORD)
        with VerdictStore(tmp_path) as other:
            assert other.get(key(1)) == RECORD
            with pytest.raises(IvcrError, match="another run"):
                other.put(key(2), RECORD)
    with VerdictStore(tmp_path) as store:
        store.put(key(2), RECORD)


def test_claiming_finds_what_another_put_since_the_opening(tmp_path):
    with VerdictStore(tmp_path) as late:
        with VerdictStore(tmp_path) as store:
            store.put(key(1), RECORD)
        assert key(1) not in late
        late.claim()
        assert late.get(key(1)) == RECORD


def test_a_killed_writer_loses_nothing_that_it_had_put(tmp_path):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_judge_store import RECORD, key\n"
        "from ivcr_bench.scoring.judge.store import VerdictStore\n"
        "store = VerdictStore(sys.argv[2])\n"
        "for number in range(10**6):\n"
        "    store.put(key(number), RECORD)\n"
        "    print(number, flush=True)\n"
    )
    here = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", program, here, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    for _ in range(50):
        process.stdout.readline()
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    last = int(process.stdout.read().split(b"\n")[-2])
    process.wait()
    with VerdictStore(tmp_path) as store:
        assert all(store.get(key(number)) == RECORD for number in range(last + 1))
        store.put(key(10**7), RECORD)


def test_equal_records_give_equal_lines_in_order_of_their_keys(tmp_path):
    for folder, numbers in (("one", (1, 2, 3)), ("other", (3, 1, 2))):
        with VerdictStore(tmp_path / folder) as store:
            for number in numbers:
                store.put(key(number), RECORD)
    with VerdictStore(tmp_path / "one") as one, VerdictStore(tmp_path / "other") as other:
        assert list(one.lines()) == list(other.lines())
