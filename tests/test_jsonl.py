"""Keys that stand twice, at any level and in any spelling, are found; and a line without such keys is never accused."""

import json
import timeit

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import decode_line, encode_line, read_jsonl
from ivcr_bench.repeated_keys import repeated_key
from ivcr_bench.schema import Dialogue, Gold, Moment, SubmissionHeader, SubmissionTurn, Turn, Video

TEXTS = st.text(max_size=20) | st.sampled_from(['"turn": 1', '"turn":', "a:b", "::", ":)", "turn", "\\u0074urn", "\\"])
IDS = st.text(min_size=1, max_size=6)
MOMENTS = st.builds(
    Moment,
    video_id=IDS,
    start=st.floats(0, 10),
    end=st.floats(10, 20),
    score=st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
ANSWERS = st.builds(
    SubmissionTurn,
    dialogue_id=IDS,
    turn=st.integers(1, 2**70),
    intent=st.sampled_from(["video_retrieval", "moment_retrieval", "natural_dialogue"]),
    videos=st.lists(IDS, unique=True, max_size=3).map(tuple),
    moments=st.lists(MOMENTS, max_size=3).map(tuple),
    text=TEXTS,
    status=st.sampled_from(["ok", "timeout"]),
    tokens=st.none() | st.integers(0, 2**70),
    raw=st.none() | TEXTS,
    latency_ms=st.none() | st.floats(0, 1e9),
)
TURNS = st.builds(
    Turn,
    utterance=TEXTS,
    intent=st.just("video_retrieval"),
    behaviour=st.just("new_topic"),
    gold=st.builds(Gold, videos=st.just(("a", "b")), response=TEXTS),
    candidates=st.none() | st.just(("a", "b:c")),
)
DIALOGUES = st.builds(
    Dialogue,
    dialogue_id=IDS,
    language=st.sampled_from(["en", "zh"]),
    split=st.just("test"),
    type=st.integers(0, 7),
    turns=st.lists(TURNS, min_size=1, max_size=3).map(tuple),
)
VIDEOS = st.builds(Video, video_id=IDS, path=TEXTS, duration=st.floats(1, 9), source=TEXTS, title=st.none() | TEXTS)
HEADERS = st.builds(SubmissionHeader, format=st.just("ivcr-submission/1"), system=st.none() | TEXTS)


class Pairs(list):
    """A JSON object that may have a key twice."""


def parse(line):
    return json.loads(line, object_pairs_hook=Pairs)


def spell(value, chance):
    """``value`` as JSON, with the white space and the escapes that ``chance`` likes."""
    if isinstance(value, Pairs):
        pairs = [f"{spell(k, chance)}{space(chance)}:{space(chance)}{spell(v, chance)}" for k, v in value]
        return "{" + space(chance) + ("," + space(chance)).join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spell(item, chance) for item in value) + "]"
    if isinstance(value, str) and value and chance.random() < 0.3:
        at = chance.randrange(len(value))
        if value[at] < "\x80":
            return (
                json.dumps(value[:at])[:-1]
                + f"\\u{ord(value[at]):04{chance.choice('xX')}}"
                + json.dumps(value[at + 1 :])[1:]
            )
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def space(chance):
    return chance.choice(["", "", " ", "\t"])


def objects(value):
    """All objects in ``value`` that have a key."""
    found = [value] if isinstance(value, Pairs) and value else []
    for part in value if isinstance(value, list) else ():
        found += objects(part[1] if isinstance(value, Pairs) else part)
    return found


@settings(max_examples=400, deadline=None)
@given(record=ANSWERS | DIALOGUES | VIDEOS | HEADERS, chance=st.randoms(use_true_random=False))
def test_no_line_is_accused_wrongly(record, chance):
    line = spell(parse(encode_line(record)), chance).encode()
    assert decode_line(line, msgspec.json.Decoder(type(record)), "f", 1) == record


@settings(max_examples=400, deadline=None)
@given(record=ANSWERS | DIALOGUES | VIDEOS | HEADERS, chance=st.randoms(use_true_random=False))
def test_every_repeated_key_is_found(record, chance):
    value = parse(encode_line(record))
    repeated = chance.choice(objects(value))
    key = chance.choice(repeated)
    repeated.insert(chance.randint(0, len(repeated)), key)
    line = spell(value, chance).encode()
    with pytest.raises(IvcrError) as caught:
        decode_line(line, msgspec.json.Decoder(type(record)), "f", 7)
    assert str(caught.value).startswith(
        f"f:7: field {key[0]!r}: found twice in one object, expected once; line starts "
    )


@pytest.mark.parametrize(
    "line",
    [
        '{"turn": 1, "turn": 1, "text": "a\\u003ab"}',  # the colon that is missing from the text makes up for the key
        '{"turn": 1, "turn": 1, "text": "a\\u003Ab"}',
        '{"turn": 1, "text": "a:b", "text": ""}',  # as does one in a text that is thrown away
        '{"turn": 1, "raw": null, "raw": null}',
        '{"turn": 1, "moments": [{"video_id": "a", "start": 1, "end": 2, "score": null, "score": 1}]}',
        '{"turn": 1, "moments": [{"video_id": "a", "start": 1, "end": 2, "e\\u006ed": 2}]}',
    ],
)
def test_what_might_be_overlooked(line):
    line = line.replace('{"turn"', '{"dialogue_id": "d", "intent": "natural_dialogue", "turn"', 1).encode()
    assert repeated_key(line, msgspec.json.decode(line, type=SubmissionTurn)) is not None


class Plain(msgspec.Struct):
    """A kind whose encoder writes defaults out."""

    a: int = 0
    b: list[int] = []
    c: str = ""


def test_kinds_that_write_defaults_are_parsed_again():
    decoder = msgspec.json.Decoder(Plain)
    assert decode_line(b'{"b": [1], "c": "x:y"}', decoder, "f", 1) == Plain(b=[1], c="x:y")
    with pytest.raises(IvcrError, match="field 'b': found twice"):
        decode_line(b'{"b": [1], "b": [], "c": "x"}', decoder, "f", 1)


def test_files_of_any_kind_are_checked(tmp_path):
    path = tmp_path / "corpus.jsonl"
    path.write_bytes(
        encode_line(Video("a", "a.mp4", 1.0, "hand"))
        + b'{"video_id":"b","path":"b","duration":1,"source":"","path":"c"}\n'
    )
    with pytest.raises(IvcrError, match=r"corpus\.jsonl:2: field 'path': found twice"):
        read_jsonl(path, Video)


def test_a_usual_line_costs_less_than_its_reading():
    """0.9 us against 1.1 us for a line of 0.9 kB on an idle machine; twice as much is allowed on a busy one."""
    answer = SubmissionTurn(
        dialogue_id="d-000123",
        turn=3,
        intent="moment_retrieval",
        moments=(Moment("v_film000001", 1.5, 9.25, score=0.5),),
        text="The clip that you want shows the red star in the snow. " * 14,
        latency_ms=812.5,
    )
    line = encode_line(answer).strip()
    decoder = msgspec.json.Decoder(SubmissionTurn)
    decoded = decoder.decode(line)
    reading = min(timeit.repeat(lambda: decoder.decode(line), number=2000, repeat=7))
    checking = min(timeit.repeat(lambda: repeated_key(line, decoded), number=2000, repeat=7))
    assert checking < 2 * reading
