"""Every wrong file that we know of, and a dataset so small that each is scored in no time.

Run as a program, it scores them all and prints the table of docs/errors.md.
"""

import codecs
import gzip
import json
import re
import sys
import zipfile
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import BytesIO, StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from ivcr_bench.cli.main import main
from ivcr_bench.jsonl import write_jsonl
from ivcr_bench.schema import Dialogue, Gold, Turn, Video

FILMS = (
    Video("film-1", "videos/film-1.mp4", 30.0, "hand", split="test"),
    Video("film-2", "videos/film-2.mp4", 30.0, "hand", split="test"),
    Video("film-3", "videos/film-3.mp4", 30.0, "hand", split="val"),
)
FIND = Turn("find it", "video_retrieval", "new_topic", Gold(videos=("film-1",), response="Here."))
WHEN = Turn("when?", "moment_retrieval", "long2short", Gold(videos=("film-1",), moments=((2.0, 9.0),)))
CHAT = Turn("thanks", "natural_dialogue", "chitchat", Gold(response="You are welcome."))
DIALOGUES = (
    Dialogue("d-0001", "en", "test", 1, (FIND, WHEN)),
    Dialogue("d-0002", "zh", "test", 1, (FIND, CHAT)),
    Dialogue("v-0001", "zh", "val", 1, (Turn("find it", "video_retrieval", "new_topic", Gold(videos=("film-3",))),)),
)

HEADER = {"format": "ivcr-submission/1", "system": "mine"}
FOUND = {"dialogue_id": "d-0001", "turn": 1, "intent": "video_retrieval", "videos": ["film-1"], "text": "Here: it is."}
LOCATED = {
    "dialogue_id": "d-0001",
    "turn": 2,
    "intent": "moment_retrieval",
    "moments": [{"video_id": "film-1", "start": 2.5, "end": 9, "score": 0.5}],
}
SAID = {
    "dialogue_id": "d-0002",
    "turn": 2,
    "intent": "natural_dialogue",
    "text": "不客气 \u2028 \U0001f600",
    "tokens": 3,
}


def lines(*records: dict[str, object]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


GOOD = lines(HEADER, FOUND, LOCATED, SAID)


def found(**fields: object) -> bytes:
    return lines({**FOUND, **fields})


def located(start: object, end: object, film: str = "film-1") -> bytes:
    return lines({**LOCATED, "moments": [{"video_id": film, "start": start, "end": end}]})


def with_text(raw: bytes) -> bytes:
    """A line with ``raw`` between the quotes of its text."""
    return lines({**FOUND, "text": "@"}).replace(b"@", raw)


def with_value(name: str, raw: bytes) -> bytes:
    """A line with one more field, spelt as it is."""
    return lines(FOUND).replace(b"}\n", b', "' + name.encode() + b'": ' + raw + b"}\n")


def zipped(content: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("answers.jsonl", content)
    return buffer.getvalue()


GZIPPED = gzip.compress(lines(HEADER, {**FOUND, "text": " ".join(map(str, range(9999)))}, LOCATED), mtime=0)

RIGHT: dict[str, bytes] = {
    "as it should be": GOOD,
    "no header": lines(FOUND, LOCATED),
    "Windows line ends": GOOD.replace(b"\n", b"\r\n"),
    "blank lines": b"\n \r\n" + GOOD.replace(b"\n", b"\n\n"),
    "no line end at the end": GOOD.rstrip(),
    "gzip, whatever its name": gzip.compress(GOOD),
    "gzip in two parts": gzip.compress(lines(HEADER, FOUND)) + gzip.compress(lines(LOCATED)),
    "gzip, padded with zeros": gzip.compress(GOOD) + bytes(512),
    "minus zero seconds": lines(FOUND) + located(-0.0, 5),
    "a null character, escaped": with_text(rb"a\u0000b"),
    "a pair of surrogates, escaped": with_text(rb"\ud83d\ude00"),
    "texts full of colons and quotes": with_text(rb"\"turn\": 2, \"turn\":3 : :"),
    "defaults spelt out": found(moments=[], status="ok", raw=None, tokens=None),
    "keys spelt with escapes": lines(FOUND).replace(b'"turn"', rb'"t\u0075rn"'),
}
"""What must be scored."""

WRONG: dict[str, dict[str, tuple[bytes, str]]] = {
    "The file": {
        "empty": (b"", "answers.jsonl: found an empty file, expected one answer a line"),
        "only blank lines": (b"\n \r\n\n", "found an empty file"),
        "a header alone": (lines(HEADER), "found a header and no answers"),
        "an array on one line": (json.dumps([FOUND, LOCATED]).encode(), ":1: found an array, expected one JSON object"),
        "an array over several lines": (json.dumps([FOUND, LOCATED], indent=1).encode(), ":1: found an array"),
        "indented objects": (json.dumps(FOUND, indent=2).encode(), ":1: found an object spread over several lines"),
        "CSV": (b"dialogue_id,turn,intent\nd-0001,1,video_retrieval\n", ":1: not valid JSON"),
        "Python instead of JSON": (f"{FOUND}\n".encode(), ":1: not valid JSON: found ', expected \""),
        "carriage return alone ends lines": (GOOD.replace(b"\n", b"\r"), ":1: lines end in carriage return alone"),
        "cut short inside a line": (GOOD[:-20], ":4: not valid JSON: Input data was truncated"),
        "null bytes": (bytes(4096), ":1: found null bytes"),
        "null bytes at the end": (GOOD + bytes(4096), ":5: found null bytes"),
        "a film": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", ":1: found binary data"),
        "a zip archive": (zipped(GOOD), ":1: found a zip archive"),
    },
    "The encoding": {
        "UTF-8 with a byte-order mark": (codecs.BOM_UTF8 + GOOD, ":1: found a byte-order mark"),
        "UTF-16": (GOOD.decode().encode("utf-16"), ":1: found UTF-16"),
        "UTF-16 without a mark": (GOOD.decode().encode("utf-16-le"), ":1: found UTF-16 without a byte-order mark"),
        "UTF-32": (GOOD.decode().encode("utf-32"), ":1: found UTF-32"),
        "Latin-1": (with_text(b"caf\xe9"), ":1: not valid JSON: 'utf-8' codec can't decode byte 0xe9 in position"),
        "half a character, escaped": (with_text(rb"\ud800 etc."), r":1: not valid JSON: half a character, \ud800"),
        "half a character at the end": (with_text(rb"\ud800"), r":1: not valid JSON: half a character, \ud800"),
        "the other half": (with_text(rb"a\udc00b"), r"half a character, \udc00"),
        "half a character, in UTF-8": (with_text(b"\xed\xa0\x80"), "can't decode byte 0xed"),
        "a null byte in a text": (with_text(b"a\0b"), "found the control character 0x00 in a text"),
        "a tab in a text": (with_text(b"a\tb"), "found the control character 0x09 in a text"),
    },
    "gzip": {
        "cut short": (GZIPPED[:9000], "cannot read on: the gzip data end too early"),
        "cut short in its head": (GZIPPED[:5], "cannot read on: the gzip data end too early"),
        "a wrong checksum": (GZIPPED[:-8] + b"abcd" + GZIPPED[-4:], "cannot read on: the gzip data are damaged: CRC"),
        "a damaged middle": (
            GZIPPED[:9000] + b"\xff" * 40 + GZIPPED[9040:],
            "cannot read on: the gzip data are damaged",
        ),
        "something after it": (GZIPPED + b"garbage", "cannot read on: other bytes follow the gzip data"),
        "packed twice": (gzip.compress(GZIPPED), ":1: found gzip data inside gzip data"),
        "only named so by its first bytes": (
            b"\x1f\x8b or is it something else",
            "the gzip data are damaged: Unknown compression",
        ),
        "a bomb: 200 MB of blanks": (
            b"".join([gzip.compress(b" " * 20_000_000, 9, mtime=0)] * 10),
            ":1: line is longer than 16 MiB",
        ),
        "a bomb: 50 MB of blank lines": (gzip.compress(b"\n" * 50_000_000), ":1048577: found 1 MiB of blank lines"),
    },
    "Numbers": {
        "`NaN`": (
            with_value("latency_ms", b"NaN"),
            ":1: not valid JSON: field 'latency_ms': found NaN, expected a number",
        ),
        "`Infinity`": (located(0, float("inf")), ":1: not valid JSON: field 'end': found Infinity, expected a number"),
        "`-Infinity`": (located(float("-inf"), 5), "field 'start': found -Infinity, expected a number"),
        "`1e999`": (with_value("latency_ms", b"1e999"), "field 'latency_ms': Number out of range, found 1e999"),
        "`-0` as a turn": (found(turn=0).replace(b" 0", b" -0"), "field 'turn': Expected `int` >= 1, found -0"),
        "`1.0` as a turn": (found(turn=1.0), "field 'turn': Expected `int`, got `float`, found 1.0"),
        '`"1"` as a turn': (found(turn="1"), "field 'turn': Expected `int`, got `str`, found \"1\""),
        "a turn beyond 64 bits": (found(turn=2**70), "field 'turn': found 1180591620717411303424, expected 1 to 2"),
        "a turn of 5,000 digits": (
            found(turn=1).replace(b": 1,", b": " + b"1" * 5000 + b","),
            "field 'turn': Integer value out of range, found 1111",
        ),
        "`01`": (found(turn=1).replace(b": 1,", b": 01,"), ":1: not valid JSON: JSON is malformed: invalid number"),
    },
    "A line": {
        "a key twice": (with_value("turn", b"2"), ":1: field 'turn': found twice in one object, expected once"),
        "a key twice, once spelt with an escape": (with_value(r"t\u0075rn", b"2"), "field 'turn': found twice"),
        "a key twice, in a moment": (located(1, 5).replace(b"}]", b', "end": 6}]'), "field 'end': found twice"),
        "a key twice, in the header": (
            lines(HEADER)[:-2] + b', "system": "x"}\n' + GOOD,
            "field 'system': found twice",
        ),
        "10,000 brackets": (b"[" * 10_000 + b"]" * 10_000, ":1: found an array"),
        "10,000 brackets in a field": (
            with_value("raw", b"[" * 10_000),
            "field 'raw': Expected `str | null`, got `array`",
        ),
        "10,000 objects": (b'{"x":' * 10_000, ":1: Object contains unknown field `x`"),
        "10,000 brackets as a format": (b'{"format":' + b"[" * 10_000, ":1: "),
        "two objects": (lines(FOUND)[:-1] + lines(LOCATED), ":1: not valid JSON: found '{"),
        "a comma at the end": (lines(FOUND)[:-1] + b",\n", ":1: not valid JSON: found ',' after the object"),
        "`None`": (
            with_value("raw", b"None"),
            ":1: not valid JSON: field 'raw': found None, expected JSON, not Python",
        ),
        "a number": (b"7\n", ":1: Expected `object`, got `int`"),
        "an unknown field": (found(video=["film-1"]), "unknown field `video`"),
        "an unknown field in a moment": (
            lines({**LOCATED, "moments": [{"video_id": "film-1", "start": 1, "end": 2, "scores": 1}]}),
            "field 'moments[0]': Object contains unknown field `scores`",
        ),
        "a field name of 1 MB": (found(**{"x" * 1_000_000: 1}), "unknown field `xxxx"),
        "a field name that paints the terminal red": (found(**{"\x1b[31mred": 1}), r"unknown field `\x1b[31mred`"),
        "no turn": (lines({"dialogue_id": "d-0001"}), "Object missing required field `turn`"),
        "no intent": (lines({"dialogue_id": "d-0001", "turn": 1}), "intent is missing, expected one of"),
        "an unknown intent": (found(intent="video"), "field 'intent': Invalid enum value 'video'"),
        "a moment as a pair": (
            lines({**LOCATED, "moments": [[1, 2]]}),
            "field 'moments[0]': Expected `object`, got `array`",
        ),
        "one film, not in a list": (found(videos="film-1"), "field 'videos': Expected `array`, got `str`"),
    },
    "An answer": {
        "an unknown dialogue": (found(dialogue_id="d-01"), "field 'dialogue_id': found 'd-01', expected one of the 2"),
        "a dialogue of another split": (found(dialogue_id="v-0001"), "field 'dialogue_id': found 'v-0001'"),
        "a turn too many": (found(turn=3), "field 'turn': found 3, expected 1 to 2"),
        "a turn twice": (lines(HEADER, FOUND, FOUND), ":3: field 'turn': found turn 1 of dialogue 'd-0001' again"),
        "an unknown film": (
            found(videos=["film-9"]),
            "field 'videos[0]': found 'film-9', expected a film of the corpus",
        ),
        "a film of another split": (found(videos=["film-1", "film-3"]), "field 'videos[1]': found 'film-3'"),
        "a film twice": (
            found(videos=["film-1", "film-2", "film-1"]),
            "videos repeat 'film-1', expected each film once",
        ),
        "a moment of an unknown film": (located(1, 2, "film-9"), "field 'moments[0].video_id': found 'film-9'"),
        "start after end": (located(9, 2), "field 'moments[0]': interval is [9.0, 2.0], expected 0 <= start <= end"),
        "a negative start": (located(-1, 2), "field 'moments[0]': interval is [-1.0, 2.0], expected 0 <= start <= end"),
        "an end beyond the film": (located(2, 31.5), "field 'moments[0].end': found 31.5, expected at most 30"),
        "milliseconds": (located(2000, 9000), "(are these milliseconds?)"),
        "another dataset": (
            lines({**HEADER, "fingerprint": "f" * 16}, FOUND),
            "field 'fingerprint': found 'ffffffffffffffff'",
        ),
        "another format": (lines({"format": "ivcr-submission/9"}, FOUND), "field 'format': Invalid enum value"),
        "a header that is not first": (lines(FOUND, HEADER), ":2: found a header, expected one on line 1 only"),
    },
}
"""What must be refused -> its content, and what must be said of it."""


def write_dataset(folder: Path) -> None:
    write_jsonl(folder / "corpus.jsonl", FILMS)
    write_jsonl(folder / "dialogues.jsonl", DIALOGUES)


def score(path: str) -> tuple[object, str, str]:
    """``ivcr-bench score`` in this process: exit code, standard output, standard error."""
    out, err = StringIO(), StringIO()
    arguments = ["ivcr-bench", "score", path, "--dataset", "tiny", "--split", "test"]
    with patch.object(sys, "argv", arguments), redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    raise AssertionError("main returned")


def table() -> str:
    """All that is said of `WRONG`, in Markdown, by really scoring each."""
    blocks = []
    with TemporaryDirectory() as folder, chdir(folder):
        write_dataset(Path("tiny"))
        for kind, cases in WRONG.items():
            rows = []
            for name, (content, _) in cases.items():
                Path("answers.jsonl").write_bytes(content)
                said = score("answers.jsonl")[2].splitlines()
                message = said[1] if said[0].endswith("faults:") else said[0]
                rows.append(f"| {name} | {_code(message)} |")
            blocks.append("\n".join([f"### {kind}", "", "| | what is said |", "| --- | --- |", *rows]))
    return "\n\n".join(blocks) + "\n"


def _code(message: str) -> str:
    """``message`` as code in a table, less the file's name and the start of the line, which all messages show."""
    message = message.strip().removeprefix("Error: ").removeprefix("answers.jsonl").removeprefix(":").strip()
    message = re.sub(r"""; line starts (?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", "", message)
    return f"`` {message.replace('|', chr(92) + '|')} ``"


if __name__ == "__main__":
    print(table(), end="")
