"""The journal: resuming, refusing, and disks that fail."""

import errno
import os

import pytest
from replayed import Scripted, dataset, wrong

from ivcr_bench.errors import IvcrError
from ivcr_bench.replay import journal as journal_module
from ivcr_bench.replay.run import Settings, replay

DATA = dataset(3, 1, 2, 3)
TWO = Settings(batch_size=2)


def run(out, system=None, spec="s", settings=TWO, resume=False, data=DATA):
    system = system or Scripted()
    replay(system, spec, data, data.dialogues, out, settings, resume=resume)
    return system


@pytest.fixture
def whole(tmp_path):
    """What an uninterrupted run writes."""
    run(tmp_path / "whole")
    return (tmp_path / "whole" / "submission.jsonl").read_bytes()


def interrupted(out, calls):
    """A run that was stopped in its batch number ``calls`` + 1."""
    system = Scripted()

    def answer(request):
        if len(system.batches) > calls:
            raise KeyboardInterrupt
        return wrong(request)

    system.answer = answer
    with pytest.raises(KeyboardInterrupt):
        run(out, system)


def test_answers_stand_by_dialogue_and_turn(whole):
    keys = [line.split(b'"dialogue_id":"')[1][:2] for line in whole.splitlines()[1:]]
    assert keys == [b"d0"] * 3 + [b"d1"] + [b"d2"] * 2 + [b"d3"] * 3


@pytest.mark.parametrize("calls", [0, 1, 3])
def test_resume_after_an_interrupt_gives_the_same_bytes(tmp_path, whole, calls):
    interrupted(tmp_path / "out", calls)
    assert not (tmp_path / "out" / "submission.jsonl").exists()
    system = run(tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "submission.jsonl").read_bytes() == whole
    assert len(system.batches) == 5 - calls  # turn 1: 2 batches, turn 2: 2, turn 3: 1


def test_a_journal_torn_anywhere_in_its_last_line_is_resumed(tmp_path, whole):
    out = tmp_path / "out"
    run(out)
    content = (out / "journal.jsonl").read_bytes()
    last = content[:-1].rfind(b"\n") + 1
    for end in (last + 1, (last + len(content)) // 2, len(content) - 1):
        (out / "journal.jsonl").write_bytes(content[:end])
        (out / "submission.jsonl").unlink()
        assert len(run(out, resume=True).batches) == 1
        assert (out / "submission.jsonl").read_bytes() == whole
        assert (out / "journal.jsonl").read_bytes().count(b"\n") == 6


def test_a_finished_run_resumes_without_asking_or_preparing(tmp_path, whole):
    run(tmp_path / "out")
    system = run(tmp_path / "out", resume=True)
    assert (system.batches, system.prepared) == ([], 0)
    assert (tmp_path / "out" / "submission.jsonl").read_bytes() == whole


def test_resume_of_nothing_starts(tmp_path, whole):
    run(tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "submission.jsonl").read_bytes() == whole


def test_a_broken_line_in_the_middle_is_named(tmp_path):
    run(tmp_path)
    lines = (tmp_path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", *lines[3:]]))
    with pytest.raises(IvcrError, match=r"journal\.jsonl:3: not valid JSON"):
        run(tmp_path, resume=True)


def test_an_empty_journal_is_named(tmp_path):
    (tmp_path / "journal.jsonl").touch()
    with pytest.raises(IvcrError, match=r"journal\.jsonl:1: not valid JSON"):
        run(tmp_path, resume=True)


def test_another_run_is_not_resumed_and_every_difference_named(tmp_path):
    interrupted(tmp_path, 2)
    before = (tmp_path / "journal.jsonl").read_bytes()
    other = Scripted()
    other.fingerprint = "w2"
    with pytest.raises(IvcrError) as refused:
        run(tmp_path, other, "t", Settings(history="gold", batch_size=3), resume=True, data=dataset(1))
    for difference in (
        "field 'system': found 's', expected 't'",
        "field 'weights': found None, expected 'w2'",
        "field 'fingerprint': found",
        "field 'history': found 'own', expected 'gold'",
        "field 'batch_size': found 2, expected 3",
    ):
        assert difference in str(refused.value)
    assert "'split'" not in str(refused.value)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_an_occupied_folder_is_refused(tmp_path):
    run(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(IvcrError, match=r"already holds a run .*--resume.* another --out"):
        run(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_submission_without_journal_is_never_written_over(tmp_path):
    (tmp_path / "submission.jsonl").write_bytes(b"mine")
    for resume in (False, True):
        with pytest.raises(IvcrError, match=r"holds a submission\.jsonl without its journal"):
            run(tmp_path, resume=resume)
    assert (tmp_path / "submission.jsonl").read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written_is_one_message_before_any_work(tmp_path):
    (tmp_path / "file").touch()
    system = Scripted()
    with pytest.raises(IvcrError, match=r"journal\.jsonl: cannot write: (Not a directory|File exists)"):
        run(tmp_path / "file" / "out", system)
    assert system.prepared == 0


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_message(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(IvcrError, match=r"journal\.jsonl: cannot write: Permission denied"):
        run(tmp_path)


def test_a_full_disk_keeps_whole_lines_and_resumes(tmp_path, whole, monkeypatch):
    out = tmp_path / "out"
    room = [700]
    write = journal_module.Journal._write

    class Full:
        """A stream that takes what there is room for, as a disk does that fills up."""

        def __init__(self, stream):
            self.stream = stream

        def write(self, data):
            if room[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            taken = self.stream.write(data[: room[0]])
            room[0] -= taken
            return taken

        def __getattr__(self, name):
            return getattr(self.stream, name)

    def write_on_full_disk(self, line):
        if not isinstance(self._stream, Full):
            self._stream = Full(self._stream)
        write(self, line)

    monkeypatch.setattr(journal_module.Journal, "_write", write_on_full_disk)
    with pytest.raises(IvcrError, match=r"journal\.jsonl: cannot write: No space left.*--resume"):
        run(out)
    assert room == [0]
    kept = (out / "journal.jsonl").read_bytes()
    assert kept.endswith(b"\n")
    assert 1 < kept.count(b"\n") < 6
    monkeypatch.undo()
    run(out, resume=True)
    assert (out / "submission.jsonl").read_bytes() == whole
    assert (out / "journal.jsonl").read_bytes().startswith(kept)
