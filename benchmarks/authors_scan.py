"""The authors' table per turn, as their scorer makes it: python benchmarks/authors_scan.py FOLDER

``metrics/eval.py`` of ivcr200k/ivcr200k.github.io joins each query to the results by its text: it walks the results
until one has the same question. That is written anew here, faults included (`ivcr_bench.scoring.official` names them).
FOLDER is one of `benchmarks/score_world.py`; it is first put into the authors' two formats. Prints JSON: the
processor's seconds of reading those, and of the scan.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from score_phases import Laps

from ivcr_bench.data.dataset import load_folder
from ivcr_bench.schema import SubmissionTurn, Turn
from ivcr_bench.scoring.official.parsing import gold_range, hull_iou, index_2025, range_2025
from ivcr_bench.submission import read_submission

Record = dict[str, Any]
VIDEO = [-1, -1]
THRESHOLDS = (0.3, 0.5, 0.7)


def main() -> None:
    folder = Path(sys.argv[1])
    all_path, result_path = folder / "authors-all.json", folder / "authors-result.json"
    write_authors_files(folder, all_path, result_path)
    laps = Laps()
    dialogues, results = json.loads(all_path.read_bytes()), json.loads(result_path.read_bytes())
    laps.end("read")
    table = per_turn(dialogues, results)
    laps.end("scan")
    if table[1, "videos"] == 0 or table[1, "videos right"] == 0:
        raise SystemExit(f"{folder}: the scan found nothing: {table}")
    print(json.dumps(laps.seconds))


def per_turn(dialogues: list[Record], results: list[Record]) -> Counter[tuple[int, str]]:
    """(turn number, what) -> count. A query that is not found counts as wrong."""
    table: Counter[tuple[int, str]] = Counter()
    for dialogue in dialogues:
        messages = dialogue["conversations"]
        for index in range(0, len(messages), 2):
            turn, gold = (index + 2) // 2, messages[index + 1]
            output = find_output(messages[index]["value"], results)
            if gold["gt_se"] == VIDEO:
                table[turn, "videos"] += 1
                table[turn, "videos right"] += output is not None and index_2025(output) == index_2025(gold["value"])
            else:
                table[turn, "moments"] += 1
                iou = 0.0 if output is None else hull_iou(gold_range(gold["value"]), range_2025(output))
                table.update((turn, f"IoU {threshold}") for threshold in THRESHOLDS if iou >= threshold)
    return table


def find_output(query: str, results: list[Record]) -> str | None:
    """What was answered to the first query of that text."""
    for result in results:
        if result["user_q"] == query:
            return str(result["output"])
    return None


def write_authors_files(folder: Path, all_path: Path, result_path: Path) -> None:
    """Natural dialogue, which the authors' files do not have, is asked for as a video is."""
    answers = {(a.dialogue_id, a.turn): a for a in read_submission(folder / "submission.jsonl").turns}
    dialogues: list[Record] = []
    results: list[Record] = []
    for dialogue in load_folder(folder).dialogues:
        messages: list[Record] = []
        for number, turn in enumerate(dialogue.turns, start=1):
            said = answers[dialogue.dialogue_id, number]
            messages += [{"from": "human", "value": turn.utterance}, _gold(turn)]
            results.append({"user_q": turn.utterance, "output": _output(turn, said)})
        dialogues.append({"split": "test", "type": [1], "conversations": messages})
    all_path.write_text(json.dumps(dialogues, ensure_ascii=False), encoding="utf-8")
    result_path.write_text(json.dumps(results, ensure_ascii=False), encoding="utf-8")


def _gold(turn: Turn) -> Record:
    if turn.gold.moments:
        start, end = turn.gold.moments[0]
        return {"from": "gpt", "value": f"At {start}s-{end}s. {turn.gold.response}", "gt_se": [start, end]}
    return {"from": "gpt", "value": f"It is video 3. {turn.gold.response}", "gt_se": VIDEO}


def _output(turn: Turn, said: SubmissionTurn) -> str:
    if turn.gold.moments and said.moments:
        return f"At {said.moments[0].start}s-{said.moments[0].end}s. {said.text}"
    return f"It is video {3 if turn.gold.videos[:1] == said.videos[:1] else 4}. {said.text}"


if __name__ == "__main__":
    main()
