"""The official modes against the authors' own scripts, on thousands of random files.

The scripts are not part of this repository. To run these tests:

    git clone https://github.com/ivcr200k/ivcr200k.github.io authors
    IVCR200K_CODE=authors pytest tests/scoring/test_official_against_authors.py
"""

import contextlib
import importlib.util
import io
import os
import random
import re
import sys
import types
from pathlib import Path

import pytest
from official_files import MOMENT_PROMPT, VIDEO_PROMPT, write_json

from ivcr_bench.scoring.official.evaluate_2024 import MOMENT_QUERIES, _Evaluation
from ivcr_bench.scoring.official.evaluate_2025 import evaluate_2025
from ivcr_bench.scoring.official.faults import OfficialScorerError, all_faults
from ivcr_bench.scoring.official.files import read_files_2025
from ivcr_bench.scoring.official.files_2024 import read_files_2024
from ivcr_bench.scoring.official.parsing import (
    gold_range,
    index_2024,
    index_2025,
    range_2024,
    range_2025,
    sentences_2024,
)
from ivcr_bench.scoring.official.tally import METRICS, MOMENT, VIDEO, Tally

CODE = os.environ.get("IVCR200K_CODE")
pytestmark = pytest.mark.skipif(CODE is None, reason="IVCR200K_CODE names no checkout of the authors' repository")

CRASHES = (IndexError, KeyError, ValueError, TypeError, ZeroDivisionError, AssertionError)
FILES = int(os.environ.get("IVCR200K_FILES", "300"))

PIECES = [
    "video 3", "Video  7,", "video 0", "video 12", "video3", "视频4", "在视频9中", "happens in 2 video", "10", "5s-10s",
    "7 - 3", "from 5 to 10 seconds", "5–10s", "1.5s-3.2s", "2..5-3", "starts at 4", "ends at 9", "00:01:05", "\n", "!",
    "?", ". ", ".", " ", "the intent is video retrieval.", "The intent is temporal video grounding. ", "0-0", "5-5",
    "A specific example is : 20.8 - 30.0 seconds", "1.", "٣-٥", "happen", "video 2 ", "0s-0s", "12.3 - 20.1", "seconds",
]  # fmt: skip


def load(name):
    """A module of the authors, without the heavy imports that its functions do not need."""
    path = Path(CODE) / name
    sys.path[:0] = [CODE, str(path.parent)]
    try:
        spec = importlib.util.spec_from_file_location(path.stem + "_authors", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        del sys.path[:2]


def format_functions():
    """``format_tvg`` and ``format_video`` of ``evaluate.py``, which as a whole needs a GPU to import."""
    source = (Path(CODE) / "evaluate.py").read_text()
    body = source[source.index("def format_intent") : source.index("def generate(")]
    namespace = {"format_tvg_output": load("utils/format_tvg.py").format_tvg_output}
    exec(body, namespace)
    return namespace


def run_main(name, *replacements):
    """The variables of a script of the authors after its ``__main__`` part, its fixed paths replaced."""
    source = (Path(CODE) / "metrics/tvg" / name).read_text()
    for pattern, path in replacements:
        source, times = re.subn(pattern, lambda match, path=path: match[1] + repr(str(path)), source)
        assert times == 1, pattern
    namespace = {"__name__": "__main__"}
    eval_video, eval_tvg = types.ModuleType("eval_video"), types.ModuleType("eval_tvg")
    eval_video.find_number = load("metrics/tvg/eval_video.py").find_number
    eval_tvg.iou = load("metrics/tvg/eval_tvg.py").iou
    sys.modules |= {"eval_video": eval_video, "eval_tvg": eval_tvg}
    argv, sys.argv = sys.argv, [name]
    try:
        exec(compile(source, name, "exec"), namespace)
    finally:
        sys.argv = argv
    return namespace


def outcome(function):
    """What ``function`` gives, or "crash" if the authors' code or ours says that the script crashes."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return function()
        except OfficialScorerError:
            return "crash"
        except CRASHES:
            return "crash"


def text(rng, most=5):
    return "".join(rng.choice(PIECES) + rng.choice(["", " ", " "]) for _ in range(rng.randint(0, most)))


def test_texts_are_read_alike():
    scorer, formatter = load("metrics/eval.py"), load("utils/format_tvg.py")
    video = load("metrics/tvg/eval_video.py")
    split = format_functions()["format_intent"]
    rng = random.Random(0)
    for _ in range(20_000):
        said = text(rng, 8)
        assert index_2025(said) == scorer.extract_video_numbers_first_only(said)
        assert index_2024(said) == video.find_number(said)
        assert gold_range(said) == scorer.extract_time_ranges(said)
        assert [range_2025(said)] == [tuple(r) for r in scorer.extract_time(said)]
        assert range_2024(said) == [list(r) for r in formatter.extract_time(said)]
        assert (sentences_2024(said) or (-1, -1)) == split(said)


def files_2025(rng, folder, *, tidy):
    """Random files: repeated queries, dropped dialogues, Chinese answers; untidy ones have what makes scripts crash."""
    dialogues, samples, predictions = [], [], []
    for _ in range(rng.randint(40, 80)):
        kind, split = rng.choice([0, 1, 1, 2, 3, 7]), rng.choice(["test", "test", "test", "train"])
        talk, prompt = [], [{"role": "system", "content": "s"}]
        run = split == "test" and kind != 0 and rng.random() < 0.8
        for _ in range(rng.randint(1, 9)):
            query = rng.choice(["q1", "q2", "same", "在哪里", f"q{rng.random()}"])
            answer, prefix = gold_2025(rng, tidy)
            talk += [{"from": "human", "value": query}, answer]
            prompt += [{"role": "user", "content": prefix + query}, {"role": "assistant", "content": answer["value"]}]
            if run:
                samples.append(list(prompt))
                user_q = query if rng.random() < 0.8 else prefix + query
                predictions.append({"user_q": user_q, "output": rng.choice([answer["value"], text(rng)])})
        dialogues.append({"split": split, "type": [kind], "conversations": talk})
    if not tidy and rng.random() < 0.1:
        predictions = predictions[: rng.randint(0, len(predictions))]
    return (
        write_json(folder / "result.json", predictions),
        write_json(folder / "gold.json", samples),
        write_json(folder / "all.json", dialogues),
    )


def gold_2025(rng, tidy):
    """A gold answer and the tags of its prompt."""
    if rng.random() < 0.5:
        said = rng.choice(["in video 3.", "in video 10", "在视频4中", "video 0"])
        answer, prefix = {"from": "gpt", "value": said, "gt_se": [-1, -1]}, VIDEO_PROMPT
    else:
        said = rng.choice(["at 5s-10s", "video 1 at 1.5s-3.2s", "2s-4s"])
        if not tidy and rng.random() < 0.005:
            said = rng.choice(["0s-0s", text(rng)])
        answer, prefix = {"from": "gpt", "value": said, "gt_se": [5, 10]}, MOMENT_PROMPT
    if not tidy and rng.random() < 0.001:
        del answer["gt_se"]
    return answer, prefix


def authors_2025(scorer, paths):
    result, gold, everything = map(scorer.read_json, paths)
    turns = scorer.cal_multi_reslut(result, everything)
    names = dict(zip(METRICS, ("vr_right", "vmr_r3", "vmr_r5", "vmr_r7"), strict=True))
    figures = {
        (row, metric): cell[name] / cell["vr_all" if metric == VIDEO else "vmr_all"] * 100
        for row, cell in turns.items()
        for metric, name in names.items()
        if row <= 7
    }
    overall = scorer.cal_reslut(result, gold, everything)
    figures[0, VIDEO] = overall["vr"]["right"] * 100
    return figures | {(0, m): overall["vmr"][r] * 100 for m, r in zip(MOMENT, ("r3", "r5", "r7"), strict=True)}


def ours_2025(paths):
    tally = evaluate_2025(read_files_2025(*paths), all_faults("official-2025"), "raise")
    return {(row, metric): cell.percent for (_, row, metric), cell in tally.cells().items()}


@pytest.mark.parametrize("tidy", [True, False])
def test_2025_prints_the_same_figures(tmp_path, tidy):
    scorer, rng = load("metrics/eval.py"), random.Random(1)
    crashes = 0
    for _ in range(FILES):
        paths = files_2025(rng, tmp_path, tidy=tidy)
        theirs, ours = outcome(lambda: authors_2025(scorer, paths)), outcome(lambda: ours_2025(paths))  # noqa: B023
        assert ours == theirs
        crashes += theirs == "crash"
    assert crashes < FILES
    assert crashes or tidy


def files_2024(rng):
    """Random raw outputs, gold queries and dialogues; some make one of the scripts crash."""
    films = [f"f{n}.mp4" for n in range(10)]
    videos = [
        {"Q": f"v{n % 9}", "id": n, "video_path": rng.choice(films), "video_top10_list": films} for n in range(12)
    ]
    moments = [{"Q": f"m{n % 9}", "id": n, "video_path": films[0], "gt_se": [n, n + 4.5]} for n in range(12)]
    noise, missing = rng.choice([0.0, 0.0, 0.05]), rng.choice([0.0, 0.0, 0.05])

    def outputs(queries, shown, kind):
        return [
            {"vname": shown, "query": query["Q"], "generated_cap": said_2024(rng, kind, noise), "id": query["id"]}
            for query in queries
            if rng.random() >= missing
        ]

    dialogues = [[_turn_2024(rng, videos, moments, films) for _ in range(rng.randint(6, 8))] for _ in range(12)]
    return outputs(videos, films, 0), outputs(moments, films[0], 1), videos, moments, dialogues


def said_2024(rng, kind, noise):
    if rng.random() < noise:
        return text(rng)
    stated = [
        f"The intent is video retrieval. It is in video {rng.randint(0, 10)}. Yes.",
        f"The intent is temporal video grounding. {rng.randint(0, 9)}-{rng.randint(10, 14)}. It.",
    ]
    return rng.choice([stated[kind]] * 4 + [stated[1 - kind], "So. None. ", "The intent is video moment. 9. 1-2s"])


def _turn_2024(rng, videos, moments, films):
    chance = rng.random()
    if chance < 0.5:
        query = rng.choice(videos)
        top10 = 0 if rng.random() < 0.1 else films
        return {"Q": query["Q"], "video_path": query["video_path"], "top10_list": top10}
    if chance < 0.9995:
        query = rng.choice(moments)
        return {"Q": query["Q"], "gt_se": [] if rng.random() < 0.1 else query["gt_se"]}
    return {"Q": "hello"}


def authors_2024(folder, part):
    folder.mkdir(exist_ok=True)
    if part == "moments":
        found = run_main(
            "eval_tvg.py",
            (r'("--pred_file", type=str, default=)"[^"]*"', folder / "fmt_moments.json"),
            (r"('--gt_file', type=str, default=)'[^']*'", folder / "gold_moments.json"),
            (r"(read_json\()'[^']*'", folder / "1153.json"),
        )
        return {(0, m): found["Result"][t] * 100 / found["num"] for m, t in zip(MOMENT, (0.3, 0.5, 0.7), strict=True)}
    if part == "videos":
        video = load("metrics/tvg/eval_video.py")
        return {(0, VIDEO): video.cal_acc_retrieval(folder / "fmt_videos.json", folder / "gold_videos.json")}
    found = run_main(
        "conv_cal.py",
        (r'(conv_path = )"[^"]*"', folder / "all.json"),
        (r'(video_pre_path = )"[^"]*"', folder / "fmt_videos.json"),
        (r'(tvg_pre_path = )"[^"]*"', folder / "fmt_moments.json"),
        (r'(video_all_path = )"[^"]*"', folder / "gold_videos.json"),
        (r'(tvg_all_path = )"[^"]*"', folder / "gold_moments.json"),
    )
    names = dict(zip(METRICS, ("video", "tvg3", "tvg5", "tvg7"), strict=True))
    return {(row, m): cell[name] for row, cell in found["cal_conv_result"].items() for m, name in names.items()}


@pytest.mark.parametrize("part", ["moments", "videos", "turns"])
@pytest.mark.parametrize("form", ["raw", "formatted"])
def test_2024_prints_the_same_figures(tmp_path, part, form):
    formatters, rng = format_functions(), random.Random(2)
    folders = {name: tmp_path / name for name in ("authors", "gold", "result")}
    for folder in folders.values():
        folder.mkdir()
    write_json(folders["authors"] / "1153.json", list(range(MOMENT_QUERIES)))
    crashes = 0
    for _ in range(FILES):
        raw_videos, raw_moments, videos, moments, dialogues = files_2024(rng)
        with contextlib.redirect_stdout(io.StringIO()):
            fmt_videos, fmt_moments = formatters["format_video"](raw_videos), formatters["format_tvg"](raw_moments)
        everything = write_json(folders["authors"] / "all.json", dialogues)
        write_json(folders["authors"] / "fmt_videos.json", fmt_videos)
        write_json(folders["authors"] / "fmt_moments.json", fmt_moments)
        for folder in (folders["authors"], folders["gold"]):
            write_json(folder / "gold_videos.json", videos)
            write_json(folder / "gold_moments.json", moments)
        write_json(folders["result"] / "videos.json", raw_videos if form == "raw" else fmt_videos)
        write_json(folders["result"] / "moments.json", raw_moments if form == "raw" else fmt_moments)
        ours = outcome(lambda: ours_2024(folders, everything, part))  # noqa: B023
        theirs = outcome(lambda: authors_2024(folders["authors"], part))
        assert ours == theirs
        crashes += theirs == "crash"
    assert crashes < FILES
    assert crashes or part == "videos"


def ours_2024(folders, everything, part):
    """Our figures of one script; the scripts run by themselves, so a crash of one must not hide another."""
    files = read_files_2024(folders["result"], folders["gold"], everything)
    tally = Tally("raise")
    evaluation = _Evaluation(files, all_faults("official-2024"), tally)
    {"moments": evaluation.overall_moments, "videos": evaluation.overall_videos, "turns": evaluation.per_turn}[part]()
    cells = {(row, metric): cell for (_, row, metric), cell in tally.cells().items() if metric in METRICS}
    return {place: cell.right * 100 / cell.total for place, cell in cells.items()}  # in the order of their script
