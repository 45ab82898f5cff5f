"""Reading the authors' files, how their records are joined, and what the command prints."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from official_files import FILMS, A, samples_of, talk, vector, video, write_files, write_json

from ivcr_bench.cli.official import score_official
from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.official.alignment import align_predictions, align_samples
from ivcr_bench.scoring.official.faults import FAULTS, OfficialScorerError
from ivcr_bench.scoring.official.files import Files2025, read_files_2025
from ivcr_bench.scoring.official.files_2024 import read_files_2024


def test_the_files_come_back_as_they_were_written(tmp_path):
    files = vector(chinese=True)
    assert read_files_2025(*write_files(tmp_path, files)) == files


def test_gzip_is_read(tmp_path):
    paths = write_files(tmp_path, vector())
    zipped = tmp_path / "all.json.gz"
    zipped.write_bytes(gzip.compress(paths[2].read_bytes()))
    assert read_files_2025(paths[0], paths[1], zipped) == vector()
    zipped.write_bytes(zipped.read_bytes()[:-20])
    with pytest.raises(IvcrError, match=r"all.json.gz: cannot read"):
        read_files_2025(paths[0], paths[1], zipped)


@pytest.mark.parametrize(
    ("name", "spoil", "expected"),
    [
        ("result", lambda records: records[2].pop("output"), "record 3: Object missing required field `output`"),
        (
            "all",
            lambda records: records[1]["conversations"][0].update(value=7),
            "record 2, field 'conversations[0].value': Expected `str`, got `int`",
        ),
        ("all", lambda records: records[0].update(type=1), "record 1, field 'type': Expected `array`, got `int`"),
        (
            "gold",
            lambda records: records[0][1].update(role="human"),
            "record 1, field '[1].role': Invalid enum value 'human'",
        ),
        ("gold", lambda records: records[1].pop(), "record 2: found assistant and user at its end, expected"),
    ],
)
def test_an_error_names_file_record_field_found_and_expected(tmp_path, name, spoil, expected):
    paths = dict(zip(("result", "gold", "all"), write_files(tmp_path, vector()), strict=True))
    records = json.loads(paths[name].read_text())
    spoil(records)
    write_json(paths[name], records)
    with pytest.raises(IvcrError) as error:
        read_files_2025(*paths.values())
    assert str(paths[name]) in str(error.value)
    assert expected in str(error.value)


def test_no_json_and_no_file(tmp_path):
    paths = write_files(tmp_path, vector())
    paths[0].write_text("[{")
    with pytest.raises(IvcrError, match=r"result.json: not valid JSON"):
        read_files_2025(*paths)
    paths[0].unlink()
    with pytest.raises(IvcrError, match=r"result.json: cannot read: No such file"):
        read_files_2025(*paths)


def test_files_of_2024_raw_and_formatted(tmp_path):
    gold, result = tmp_path / "gold", tmp_path / "result"
    gold.mkdir()
    result.mkdir()
    write_json(gold / "v.json", [{"Q": "v", "id": 0, "video_path": "f1", "video_top10_list": list(FILMS)}])
    write_json(gold / "m.json", [{"Q": "m", "id": 7, "gt_se": [1, 2.5]}])
    write_json(result / "v.json", {"0": {"video_id": " It is 1.", "intent": "x", "query": "v", "vid": list(FILMS)}})
    write_json(result / "m.json", [{"vname": "f1", "query": "m", "generated_cap": "A. B.", "id": "7"}])
    talks = write_json(
        tmp_path / "all.json", [[{"Q": "v", "video_path": "f1", "top10_list": 0}, {"Q": "m", "gt_se": []}]]
    )
    files = read_files_2024(result, gold, talks)
    assert [output.number for output in (*files.videos, *files.moments)] == ["0", "7"]
    assert [query.Q for query in (*files.gold_videos, *files.gold_moments)] == ["v", "m"]
    assert files.gold_moments[0].gt_se == (1.0, 2.5)
    assert [(turn.gt_se, turn.top10_list) for turn in files.dialogues[0]] == [(None, 0), ((), None)]
    write_json(result / "v.json", {"0": {"intent": "x", "query": "v", "vid": []}})
    with pytest.raises(IvcrError, match=r"v.json: record '0': found neither 'video_id' nor 'timestamp'"):
        read_files_2024(result, gold, None)
    with pytest.raises(IvcrError, match=r"found no \*.json in the folder"):
        read_files_2024(tmp_path / "gold", _empty(tmp_path), None)


def _empty(folder):
    (folder / "empty").mkdir()
    return folder / "empty"


def test_samples_find_their_dialogue_among_equal_ones():
    again = talk(2, video("same", 3))
    files = Files2025([], [*samples_of(again), *samples_of(A), *samples_of(again)], [A, again, again])
    assert files.turn_of_sample == [(1, 1), (0, 1), (0, 2), (2, 1)]


dialogues = st.dictionaries(
    st.integers(0, 30),
    st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from("ab")), min_size=1, max_size=4),
    max_size=6,
)


@given(dialogues)
def test_all_prefixes_in_order_are_all_turns_in_order(dialogues):
    prefixes = [talked[:n] for talked in dialogues.values() for n in range(1, len(talked) + 1)]
    found = align_samples(prefixes, dialogues)
    assert sorted(found) == sorted((d, n) for d, talked in dialogues.items() for n in range(1, len(talked) + 1))
    for prefix, (dialogue, number) in zip(prefixes, found, strict=True):
        assert dialogues[dialogue][:number] == prefix


@given(st.lists(st.sampled_from("abc"), max_size=12), st.data())
def test_a_result_with_gaps_is_joined_by_text_and_no_answer_is_used_twice(asked, data):
    kept = [place for place in range(len(asked)) if data.draw(st.booleans())]
    joined = align_predictions([asked[place] for place in kept], asked)
    used = [index for index in joined if index is not None]
    assert sorted(used) == list(range(len(kept)))
    assert all(index is None or asked[kept[index]] == asked[place] for place, index in enumerate(joined))
    assert used == sorted(used)  # what was in order stays in order


@given(st.permutations(list("abcdef")))
def test_a_result_in_another_order_is_joined_by_text(shuffled):
    assert align_predictions(shuffled, list("abcdef")) == [shuffled.index(text) for text in "abcdef"]


def test_score_official_prints_the_vector(tmp_path):
    result, gold, everything = write_files(tmp_path, vector())
    text = score_official("official-2025", result, gold, everything)
    assert "correct" not in text
    assert "1 of 6 test turns have no sample in --gold, and are wrong" in text
    figures = [line.split() for line in text.splitlines() if line.startswith(("R@1", "1  ", "2  "))]
    assert figures == [
        ["R@1", "50.00", "2/4"],
        ["R@1", "IoU=0.3", "50.00", "1/2"],
        ["R@1", "IoU=0.5", "50.00", "1/2"],
        ["R@1", "IoU=0.7", "0.00", "0/2"],
        ["1", "66.67", "2/3", "100.00", "1/1", "100.00", "1/1", "0.00", "0/1"],
        ["2", "0.00", "0/1", "100.00", "1/1", "100.00", "1/1", "100.00", "1/1"],
    ]
    explained = score_official("official-2025", result, gold, everything, explain=True)
    rows = {line.split()[0]: line.split() for line in explained.splitlines() if line[:1] in "ER" and " " in line}
    assert rows["E1"][:5] == ["E1", "+1", "+1", "+1", "+1"]
    assert rows["E12"][:2] == ["E12", "+1"]
    assert "R@1                    50.00      2/4      75.00      3/4" in explained
    assert "moved nothing here: E2, E3, E4" in explained


def test_score_official_says_where_the_script_crashes(tmp_path):
    files = vector()
    result, gold, everything = write_files(tmp_path, files)
    write_json(result, json.loads(result.read_text())[:-1])
    with pytest.raises(OfficialScorerError, match=r"E4: the result file has 4 records, --gold has 5 .*count_wrong"):
        score_official("official-2025", result, gold, everything)
    text = score_official("official-2025", result, gold, everything, crash_policy="count_wrong")
    assert "the authors' script would have crashed: E4 1 x" in text
    assert "1 of 5 samples have no prediction with their query's text" in text


@pytest.mark.parametrize(
    ("protocol", "gold"), [("official-2025", None), ("official-2024", None), ("official-2025", "g")]
)
def test_missing_files_are_asked_for(tmp_path, protocol, gold):
    with pytest.raises(IvcrError, match=f"--protocol {protocol} needs --"):
        score_official(protocol, tmp_path / "r.json", gold, None)


DOCS = Path(__file__).parents[2] / "docs"


def test_the_documented_example_is_what_the_command_prints():
    folder = DOCS / "examples" / "official-2025"
    paths = [folder / f"{name}.json" for name in ("result", "gold", "all")]
    assert read_files_2025(*paths) == vector(chinese=True)
    assert score_official("official-2025", *paths, explain=True).rstrip() in (DOCS / "official.md").read_text()


def test_every_fault_is_documented_as_it_is_switched():
    rows = [line.strip("| ").split(" | ") for line in (DOCS / "official.md").read_text().splitlines()]
    documented = {row[0]: row[1:3] for row in rows}
    for fault in (fault for faults in FAULTS.values() for fault in faults):
        effect, _, repaired = fault.effect.partition("; off: ")
        assert documented[fault.code][0] == effect
        assert documented[fault.code][1].strip(" |") == repaired or not repaired
