"""Each wrong file gets an error of its own through ``ivcr-bench score``: never a traceback, never a hang."""

import gzip
import io
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from functools import partial
from pathlib import Path

import pytest
import wrong_files
from wrong_files import GOOD, RIGHT, WRONG, found, lines, score

from ivcr_bench import streams
from ivcr_bench.cli import main as cli
from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.submission import read_submission

DOCUMENT = Path(__file__).parents[1] / "docs" / "errors.md"
LONGEST_MESSAGE = 2500


@pytest.fixture(autouse=True, scope="module")
def _workplace(tmp_path_factory):
    """A folder with the tiny dataset in it, as the current one."""
    folder = tmp_path_factory.mktemp("wrong")
    wrong_files.write_dataset(folder / "tiny")
    before = Path.cwd()
    os.chdir(folder)
    yield
    os.chdir(before)


def refusal(path="answers.jsonl"):
    """What is said about a file that is not scored."""
    code, out, err = score(path)
    assert (code, out) == (2, "")
    assert err.startswith(f"Error: {path}")
    return err


@pytest.mark.parametrize("name", RIGHT)
def test_right_files_are_scored(name):
    Path("answers.jsonl").write_bytes(RIGHT[name])
    code, out, err = score("answers.jsonl")
    assert (code, err) == (0, "")
    assert "R@1" in out


@pytest.mark.parametrize(
    ("name", "content", "expected"), [(n, *case) for cases in WRONG.values() for n, case in cases.items()]
)
def test_wrong_files_are_refused_for_what_is_wrong(name, content, expected):
    Path("answers.jsonl").write_bytes(content)
    start = time.process_time()
    message = refusal()
    assert time.process_time() - start < 5
    assert expected in message
    assert len(message) < LONGEST_MESSAGE
    assert all(character.isprintable() or character == "\n" for character in message)


def test_no_two_mistakes_sound_the_same():
    messages = {}
    for cases in WRONG.values():
        for name, (content, _) in cases.items():
            Path("answers.jsonl").write_bytes(content)
            messages.setdefault(refusal().partition(";")[0], []).append(name)
    alike = [names for names in messages.values() if len(names) > 1]
    assert alike == [
        ["empty", "only blank lines"],
        ["an array on one line", "an array over several lines", "10,000 brackets"],
        ["a key twice", "a key twice, once spelt with an escape"],
    ]


def test_the_documentation_shows_what_is_really_said():
    assert wrong_files.table() in DOCUMENT.read_text()


class TestWhatCannotBeOpened:
    def test_no_such_file(self):
        assert refusal("none.jsonl") == (
            "Error: none.jsonl: cannot open: No such file or directory (is the name spelt right?)\n"
        )

    def test_a_folder(self):
        assert "tiny: cannot open: Is a directory (name a file in it)" in refusal("tiny")

    def test_not_allowed(self, monkeypatch):
        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        Path("secret.jsonl").write_bytes(GOOD)
        monkeypatch.setattr(streams.Path, "open", refuse)
        assert refusal("secret.jsonl").startswith(
            "Error: secret.jsonl: cannot open: Permission denied (may you read it?)"
        )

    def test_a_name_with_a_null_character(self):
        with pytest.raises(IvcrError, match="cannot open: embedded null byte"):
            read_submission("a\0b")

    def test_a_name_that_steers_the_terminal(self):
        assert score("\x1b[31m")[2].startswith(r"Error: \x1b[31m: cannot open")


class TestPipes:
    def test_one_that_nobody_writes_to(self, monkeypatch):
        monkeypatch.setattr(streams, "PIPE_SECONDS", 0.1)
        os.mkfifo("silent")
        assert "silent: is a pipe that nobody writes to (start the program" in refusal("silent")

    @pytest.mark.parametrize("wait", [0, 0.3])
    def test_one_whose_writer_takes_its_time(self, monkeypatch, wait):
        """The writer is there within the limit; what it has to say may come long after."""
        monkeypatch.setattr(streams, "PIPE_SECONDS", 0.2)
        os.mkfifo(name := f"busy-{wait}")

        def write():
            with open(name, "wb") as pipe:
                time.sleep(wait)
                pipe.write(GOOD)

        writer = threading.Thread(target=write)
        writer.start()
        code, _, err = score(name)
        writer.join()
        assert (code, err) == (0, "")

    @pytest.mark.parametrize("content", [GOOD, gzip.compress(GOOD)], ids=["plain", "gzip"])
    def test_standard_input(self, monkeypatch, content):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        code, out, err = score("-")
        assert (code, err) == (0, "")
        assert "R@1" in out

    def test_what_stands_in_for_standard_input_is_not_closed(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD)))
        read_submission("-")
        assert not sys.stdin.closed

    def test_standard_input_that_is_closed(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", None)
        assert "-: standard input is closed" in refusal("-")

    def test_wrong_standard_input(self, monkeypatch):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(GOOD)[:-9])))
        assert "-:1: cannot read on: the gzip data end too early" in refusal("-")


class TestMemory:
    def test_a_line_without_end(self, monkeypatch):
        """A sparse file of 1 GB without a line end, and a limit of 1 MiB: no more than a few of them are held."""
        monkeypatch.setattr(streams, "MAX_LINE_BYTES", 1 << 20)
        with open("endless.jsonl", "wb") as file:
            file.write(b" ")
            file.truncate(1 << 30)
        tracemalloc.start()
        message = refusal("endless.jsonl")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert message.startswith("Error: endless.jsonl:1: line is longer than 1 MiB")
        assert peak < 6 << 20

    def test_a_bomb(self, monkeypatch):
        monkeypatch.setattr(streams, "MAX_LINE_BYTES", 1 << 20)
        Path("bomb.jsonl").write_bytes(gzip.compress(GOOD + b" " * (100 << 20)))
        tracemalloc.start()
        message = refusal("bomb.jsonl")
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert message.startswith("Error: bomb.jsonl:5: line is longer than 1 MiB")
        assert peak < 6 << 20

    def test_many_films_of_which_one_comes_twice(self):
        """Naming the film that is repeated takes one pass, not one for each film."""
        films = [f"{i:x}" for i in range(300_000)]
        Path("answers.jsonl").write_bytes(found(videos=[*films, films[-1]]))
        start = time.process_time()
        assert "videos repeat '493df'" in refusal()
        assert time.process_time() - start < 5

    def test_a_text_of_backslashes(self):
        Path("answers.jsonl").write_bytes(lines({})[:-2] + b'"text": "' + b"\\\\" * 2_000_000 + b'\\ud800"}')
        tracemalloc.start()
        assert "half a character" in refusal()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40 << 20


class TestEndings:
    """What else can end the command."""

    @pytest.mark.parametrize(
        ("error", "code", "message"),
        [
            (RecursionError("maximum"), 1, "Error: something is nested too deep (run with --debug to see where)\n"),
            (MemoryError(), 1, "Error: not enough memory (close other programs, or score fewer answers at once)\n"),
            (BrokenPipeError(32, "Broken pipe"), 1, ""),
            (KeyboardInterrupt(), 130, "\n"),
            (IvcrError("a\x1bb\nc"), 2, "Error: a\\x1bb\nc\n"),
            (OSError(28, "No space left on device"), 1, "Error: [Errno 28] No space left on device\n"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
    )
    def test_each_is_told_in_a_line(self, monkeypatch, error, code, message):
        def fail(_path):
            raise error

        monkeypatch.setattr("ivcr_bench.submission.open_submission", fail)
        stdout, stderr = sys.stdout, sys.stderr
        try:
            assert score("answers.jsonl") == (code, "", message)
        finally:
            sys.stdout, sys.stderr = stdout, stderr

    def test_the_traceback_is_there_for_the_asking(self, monkeypatch):
        monkeypatch.setattr("sys.argv", ["ivcr-bench", "--debug", "score", "none.jsonl"])
        with pytest.raises(IvcrError):
            cli.main()

    def test_ctrl_c(self):
        program = "from ivcr_bench.cli.main import main; main()"
        command = [sys.executable, "-c", program, "score", "-", "--dataset", "tiny"]
        # Where these tests run in the background, Ctrl-C is ignored, and the command would inherit that.
        listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        with subprocess.Popen(command, **pipes, preexec_fn=listens) as scorer:
            scorer.stdin.write(GOOD)
            scorer.stdin.flush()
            time.sleep(1.5)
            scorer.send_signal(signal.SIGINT)
            assert scorer.wait(10) == 130
            assert scorer.stderr.read().strip() == b""


def test_printable():
    assert printable("a\u202e\ud800\x1b中文é\n") == "a\\u202e\\ud800\\x1b中文é\\n"
    assert len(printable("x" * 10_000_000)) == 2000
