"""Reading, writing and checking submissions; above all, what is said about wrong ones."""

import codecs
import gzip
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import MAX_LINE_BYTES
from ivcr_bench.schema import Dialogue, Gold, Moment, SubmissionHeader, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.checking import check_answers
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.submission import (
    MAX_FAULTS,
    Submission,
    answer_faults,
    read_submission,
    write_submission,
)

LINE = {"dialogue_id": "d-0001", "turn": 1, "intent": "video_retrieval", "videos": ["film-1"]}
HEADER = {"format": "ivcr-submission/1", "system": "mine"}
TURN = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("film-1",)))
DATASET = Dataset(
    Path("tiny"),
    DatasetCard(name="tiny", fingerprint="0123456789abcdef"),
    (
        Video("film-1", "a.mp4", 30.0, "hand", split="test"),
        Video("film-2", "b.mp4", 30.0, "hand", split="test"),
        Video("film-3", "c.mp4", 30.0, "hand", split="val"),
    ),
    (
        Dialogue("d-0001", "en", "test", 1, (TURN, TURN)),
        Dialogue("d-0002", "zh", "test", 1, (TURN,)),
        Dialogue("v-0001", "zh", "val", 1, (TURN,)),
    ),
)


def check_submission(submission, dataset, split, path):
    gold = GoldTurns.of(dataset, split, submission.header and submission.header.limit)
    check_answers(gold, replace(submission, path=path))


def lines(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def write(tmp_path, content, name="s.jsonl"):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def refusal(tmp_path, content, name="s.jsonl"):
    """What is said about a file that cannot be read; it always names the file."""
    path = write(tmp_path, content, name)
    with pytest.raises(IvcrError) as caught:
        read_submission(path)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


def objection(*records, header=None, split="test"):
    """What is said about answers that do not fit `DATASET`."""
    answers = tuple(SubmissionTurn(**{**LINE, **record}) for record in records)
    submission = Submission(None if header is None else SubmissionHeader(**{**HEADER, **header}), answers)
    with pytest.raises(IvcrError) as caught:
        check_submission(submission, DATASET, split, "s.jsonl")
    return str(caught.value)


class TestReading:
    def test_ten_lines_of_python_make_a_submission(self, tmp_path):
        submission = read_submission(write(tmp_path, lines(LINE, {**LINE, "turn": 2})))
        assert submission.header is None
        assert [answer.turn for answer in submission.turns] == [1, 2]
        assert submission.turns[0].videos == ("film-1",)

    def test_a_header_is_known_by_its_format(self, tmp_path):
        submission = read_submission(write(tmp_path, lines(HEADER, LINE)))
        assert submission.header == SubmissionHeader(format="ivcr-submission/1", system="mine")
        assert submission.lines == (2,)

    def test_blank_lines_and_windows_line_ends_are_fine(self, tmp_path):
        content = b"\r\n" + lines(LINE).replace(b"\n", b"\r\n") + b"\r\n\r\n" + lines({**LINE, "turn": 2}).strip()
        submission = read_submission(write(tmp_path, content))
        assert submission.lines == (2, 5)

    def test_gzip_is_seen_by_its_content(self, tmp_path):
        content = gzip.compress(lines(HEADER, LINE))
        assert read_submission(write(tmp_path, content)) == read_submission(write(tmp_path, lines(HEADER, LINE)))

    def test_standard_input(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(HEADER, LINE))))
        assert len(read_submission("-").turns) == 1

    @pytest.mark.parametrize("name", ["s.jsonl", "s.jsonl.gz"])
    def test_written_and_read_again(self, tmp_path, name):
        header = SubmissionHeader(format="ivcr-submission/1", history="own", limit=3)
        moments = (Moment("film-1", 0.5, 2.0, score=0.25),)
        answers = (
            SubmissionTurn(dialogue_id="红", turn=1, intent="moment_retrieval", moments=moments, text="星\n"),
            SubmissionTurn(dialogue_id="d", turn=2, status="timeout", latency_ms=1.5, tokens=0, raw="\x00"),
        )
        write_submission(tmp_path / name, Submission(header, answers))
        first = (tmp_path / name).read_bytes()
        assert read_submission(tmp_path / name) == Submission(header, answers, (2, 3))
        write_submission(tmp_path / name, read_submission(tmp_path / name))
        assert (tmp_path / name).read_bytes() == first

    def test_a_failed_write_leaves_the_old_file(self, tmp_path):
        path = write(tmp_path, b"old")

        def broken():
            yield SubmissionTurn(**LINE)
            raise OSError(28, "No space left on device")

        with pytest.raises(IvcrError, match="cannot write: No space left on device"):
            write_submission(path, Submission(None, broken()))
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]


def record(**fields):
    return lines({**LINE, **fields})


UNREADABLE = {
    "empty file": (b"", ": found an empty file, expected one answer a line"),
    "only blank lines": (b"\n \n\n", ": found an empty file"),
    "header only": (lines(HEADER), ": found a header and no answers"),
    "array": (b"[" + lines(LINE).strip() + b"]\n", ":1: found an array, expected one JSON object a line"),
    "array, hint": (b"[" + lines(LINE).strip() + b"]\n", "(write one object a line, without [ ] around)"),
    "indented": (json.dumps(LINE, indent=2).encode(), "(write each object on one line: json.dumps without indent)"),
    "BOM": (codecs.BOM_UTF8 + lines(LINE), "(save the file as UTF-8 without a byte-order mark)"),
    "UTF-16": (lines(LINE).decode().encode("utf-16"), "(the file is UTF-16; save it as UTF-8)"),
    "Latin-1": (b'{"dialogue_id": "caf\xe9"}', ":1: not valid JSON: 'utf-8' codec can't decode"),
    "NaN": (record(latency_ms=float("nan")), "(JSON has no NaN and no Infinity)"),
    "Infinity": (record(moments=[{"video_id": "a", "start": 0, "end": float("inf")}]), "JSON has no NaN"),
    "1e999": (
        lines(LINE).replace(b"}", b', "latency_ms": 1e999}'),
        ":1: field 'latency_ms': Number out of range",
    ),
    "deep nesting": (b"[" * 10_000 + b"]" * 10_000, ":1: found an array"),
    "deep nesting inside": (record(x=0).replace(b"0}", b"[" * 10_000 + b"]" * 10_000 + b"}"), "unknown field `x`"),
    "number": (b"7\n", ":1: Expected `object`, got `int`"),
    "unknown field": (record(video=["a"]), ":1: Object contains unknown field `video`"),
    "unknown field, hint": (record(video=["a"]), "(did you mean 'videos'?)"),
    "unknown field, no near one": (record(zzz=1), "(one of intent, videos, moments, text, "),
    "no turn": (lines({"dialogue_id": "d"}), ":1: Object missing required field `turn`"),
    "turn 0": (record(turn=0), ":1: field 'turn': Expected `int` >= 1"),
    "turn as text": (record(turn="1"), ":1: field 'turn': Expected `int`, got `str`"),
    "no intent": (lines({"dialogue_id": "d", "turn": 1}), "intent is missing, expected one of video_retrieval, "),
    "wrong intent": (record(intent="video"), ":1: field 'intent': Invalid enum value 'video'"),
    "wrong intent, hint": (
        record(intent="video"),
        "(expected video_retrieval | moment_retrieval | natural_dialogue)",
    ),
    "wrong status, hint": (record(status="fine"), "(expected ok | refused | malformed | timeout | system_error)"),
    "film twice": (record(videos=["a", "b", "a"]), "videos repeat 'a', expected each film once"),
    "start after end": (
        record(moments=[{"video_id": "a", "start": 9, "end": 2}]),
        ":1: field 'moments[0]': interval is [9.0, 2.0], expected 0 <= start <= end",
    ),
    "negative start": (record(moments=[{"video_id": "a", "start": -1, "end": 2}]), "expected 0 <= start <= end"),
    "moment as a pair": (record(moments=[[1, 2]]), ":1: field 'moments[0]': Expected `object`, got `array`"),
    "other format": (lines({"format": "ivcr-submission/9"}, LINE), "(expected ivcr-submission/1)"),
    "unknown header field": (lines({**HEADER, "sytem": "x"}, LINE), ":1: Object contains unknown field `sytem`"),
    "unknown header field, hint": (lines({**HEADER, "sytem": "x"}, LINE), "(did you mean 'system'?)"),
    "limit 0": (lines({**HEADER, "limit": 0}, LINE), ":1: field 'limit': Expected `int` >= 1"),
    "late header": (lines(LINE, HEADER), ":2: found a header, expected one on line 1 only"),
    "two headers": (lines(HEADER, HEADER, LINE), ":2: found a header, expected one on line 1 only"),
    "cut-short gzip": (gzip.compress(lines(*[LINE] * 100))[:-20], "(is the file cut short? copy it again)"),
    "broken gzip": (gzip.compress(lines(LINE))[:10] + b"\xff" * 40, ":1: cannot read on:"),
    "cut-short line": (lines(LINE)[:-10], ":1: not valid JSON: Input data was truncated"),
    "a film": (
        b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" * 20,
        ":1: found binary data, expected one JSON object a line",
    ),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_wrong_files_are_named_with_line_and_cure(tmp_path, case):
    content, expected = UNREADABLE[case]
    assert expected in refusal(tmp_path, content)


def test_a_line_without_end_does_not_fill_the_memory(tmp_path):
    content = gzip.compress(b" " * (MAX_LINE_BYTES + 10), compresslevel=1)
    assert refusal(tmp_path, content).startswith(":1: line is longer than 16 MiB")


@pytest.mark.parametrize(("name", "expected"), [("none.jsonl", "No such file"), ("", "Is a directory")])
def test_what_cannot_be_opened(tmp_path, name, expected):
    with pytest.raises(IvcrError, match=f"cannot open: {expected}"):
        read_submission(tmp_path / name)


def test_all_faults_of_a_file_are_listed(tmp_path):
    content = lines({**LINE, "turn": 0}, LINE, {**LINE, "txt": ""}) + b"{\n"
    message = refusal(tmp_path, content).split("\n")
    assert message[0] == ": 3 faults:"
    assert [line.split("s.jsonl:")[1].split(":")[0] for line in message[1:]] == ["1", "3", "4"]


def test_no_more_than_twenty_faults_are_listed(tmp_path):
    message = refusal(tmp_path, b"{}\n" * 1000).split("\n")
    assert message[0] == ": more than 20 faults, the first are:"
    assert len(message) == 1 + MAX_FAULTS


class TestChecking:
    def test_a_fitting_submission_passes(self):
        header = SubmissionHeader(format="ivcr-submission/1", fingerprint="0123456789abcdef", split="test")
        moments = (Moment("film-2", 0, 30.5),)  # half a second beyond the end: within the grace
        answers = (
            SubmissionTurn(dialogue_id="d-0002", turn=1, intent="video_retrieval", videos=("film-2", "film-1")),
            SubmissionTurn(dialogue_id="d-0001", turn=2, intent="moment_retrieval", moments=moments),
        )
        check_submission(Submission(header, answers), DATASET, "test", "s.jsonl")

    def test_unknown_dialogue(self):
        assert objection({"dialogue_id": "d-001"}) == (
            "s.jsonl:1: field 'dialogue_id': found 'd-001', expected one of the 2 dialogues scored "
            "(did you mean 'd-0001'?)"
        )

    def test_dialogue_of_another_split(self):
        assert "field 'dialogue_id': found 'v-0001'" in objection({"dialogue_id": "v-0001"})

    def test_unknown_turn(self):
        assert objection({"turn": 3}) == (
            "s.jsonl:1: field 'turn': found 3, expected 1 to 2, the turns of dialogue 'd-0001'"
        )

    def test_huge_turn(self):
        assert "found 1000000000000000000000000" in objection({"turn": 10**24})

    def test_repeated_turn(self):
        assert objection({}, {}, header={}) == (
            "s.jsonl:3: field 'turn': found turn 1 of dialogue 'd-0001' again, expected it once: line 2 answers it"
        )

    def test_film_of_another_split(self):
        assert objection({"videos": ("film-1", "film-3")}) == (
            "s.jsonl:1: field 'videos[1]': found 'film-3', expected a film of the corpus (did you mean 'film-2'?)"
        )

    def test_moment_in_no_film(self):
        moments = (Moment("film-1", 0, 1), Moment("zzz", 0, 1))
        assert objection({"moments": moments}) == (
            "s.jsonl:1: field 'moments[1].video_id': found 'zzz', expected a film of the corpus"
        )

    def test_moment_beyond_the_end(self):
        assert objection({"moments": (Moment("film-1", 2, 31.5),)}) == (
            "s.jsonl:1: field 'moments[0].end': found 31.5, expected at most 30, the seconds that 'film-1' lasts"
        )

    def test_milliseconds(self):
        assert "(are these milliseconds?)" in objection({"moments": (Moment("film-1", 2000, 9000),)})

    def test_another_dataset(self):
        assert objection({}, header={"fingerprint": "f" * 16, "dataset": "other"}) == (
            "s.jsonl: field 'fingerprint': found 'ffffffffffffffff', expected '0123456789abcdef' of tiny "
            "(the answers are about another dataset, other; name it with --dataset)"
        )

    def test_another_split(self):
        assert objection({}, header={"split": "val"}) == (
            "s.jsonl: field 'split': found 'val', expected 'test' (score it with --split val)"
        )

    def test_a_split_without_dialogues(self):
        assert "no dialogue has split 'train'" in objection({}, split="train")

    def test_beyond_the_limit(self):
        assert "expected one of the 1 dialogues scored" in objection({"dialogue_id": "d-0002"}, header={"limit": 1})

    def test_faults_come_in_file_order_with_the_lines_of_the_file(self, tmp_path):
        content = lines(HEADER) + b"\n" + lines({**LINE, "turn": 9}, LINE, {**LINE, "videos": ["film-9"]})
        path = write(tmp_path, content)
        with pytest.raises(IvcrError) as caught:
            check_submission(read_submission(path), DATASET, "test", path)
        places = [line.split("s.jsonl:")[1].split(":")[0] for line in str(caught.value).split("\n")[1:]]
        assert places == ["3", "5", "5"]  # line 5 answers turn 1 again, and with an unknown film

    def test_more_than_twenty(self):
        message = objection(*[{"turn": 9 + i} for i in range(50)]).split("\n")
        assert message[0] == "s.jsonl: more than 20 faults, the first are:"
        assert len(message) == 1 + MAX_FAULTS

    def test_one_response_can_be_checked_by_itself(self):
        answer = SubmissionTurn(**{**LINE, "videos": ("film-9",), "moments": (Moment("film-1", 0, 99),)})
        assert len(list(answer_faults(answer, DATASET.corpus("test").durations))) == 2


VALID = lines(HEADER, LINE, {**LINE, "turn": 2, "moments": [{"video_id": "film-1", "start": 1.5, "end": 2}]})


@st.composite
def damaged(draw):
    """A valid file with bytes cut out, put in or changed; sometimes gzipped before, sometimes after."""
    content = bytearray(draw(st.sampled_from([VALID, gzip.compress(VALID, mtime=0)])))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 8)))
        content[start:end] = draw(st.binary(max_size=8) | st.sampled_from([b"NaN", b"1e999", b"[" * 2000, b"\x00"]))
    return bytes(content)


@settings(max_examples=400, deadline=None)
@given(content=damaged() | st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "fuzz.jsonl"
    path.write_bytes(content)
    try:
        submission = read_submission(path)
        check_submission(submission, DATASET, "test", path)
    except IvcrError as error:
        assert str(path) in str(error)  # noqa: PT017 - both outcomes are right, and this one must name the file
