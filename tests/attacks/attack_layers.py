"""Which layer stops which attack: ``python tests/attacks/attack_layers.py`` prints docs/judge-agreement.md's table.

Against the rule judge, each attack is tried on every reference of its language. Against a language model, the worst is
assumed of the model, and each layer is tried alone:

1. normalise: the text that is judged is another than was sent.
2. data: a model obeys whatever stands outside the JSON string of the candidate. Nothing of the attack does.
3. flag: a model says that it is addressed, and obeys all the same.
4. evidence: a model gives the best label, and quotes what it was shown: the attack.
5. screen, 6. canaries: a model gives the best label to everything, and quotes the reference. The submission answers
   each of 120 turns with the attack, numbered, so that no two texts are the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from msgspec import Struct
from tabulate import tabulate

from ivcr_bench.data.dataset import Dataset, DatasetCard
from ivcr_bench.data.fingerprint import fingerprint
from ivcr_bench.jsonl import read_jsonl
from ivcr_bench.schema import Dialogue, Gold, Language, SubmissionTurn, Turn, Video
from ivcr_bench.scoring.gold import GoldTurns
from ivcr_bench.scoring.judge.addressing import addresses_judge
from ivcr_bench.scoring.judge.hearing import Hearing
from ivcr_bench.scoring.judge.items import VALUES, JudgeItem, Label
from ivcr_bench.scoring.judge.labelled import shipped_labels
from ivcr_bench.scoring.judge.normalise import normalise
from ivcr_bench.scoring.judge.prompt import SchemaError, build, read_verdict
from ivcr_bench.scoring.judge.rule import RuleJudge

LAYERS = ("1 normalise", "2 data", "3 flag", "4 evidence", "5 screen", "6 canaries")


class Attack(Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate made to please a judge, and a turn that it could be sent to."""

    attack_id: str
    family: str
    language: Language
    query: str
    reference: str
    candidate: str


def attacks() -> list[Attack]:
    return read_jsonl(Path(__file__).with_name("attacks.jsonl"), Attack)


def items(attack: Attack, everything: list[Attack]) -> Iterator[JudgeItem]:
    """The attack on every reference of its language; one that repeats the question only fits its own."""
    turns = {(other.query, other.reference) for other in everything if other.language == attack.language}
    for query, reference in sorted(turns):
        if attack.candidate != attack.query or query == attack.query:
            yield JudgeItem("d", 1, attack.language, (query,), reference, normalise(attack.candidate).text or None)


def rule_values(attack: Attack, everything: list[Attack]) -> list[float]:
    verdicts = [verdict for _, verdict in RuleJudge().judge(items(attack, everything))]
    return [VALUES[verdict.label] for verdict in verdicts if verdict.label is not None]


def stopped_by(attack: Attack) -> set[str]:
    """The layers that stop a language model that falls for everything."""
    item = JudgeItem("d", 1, attack.language, (attack.query,), attack.reference, attack.candidate)
    stopped = {
        LAYERS[0]: normalise(attack.candidate).text != attack.candidate,
        LAYERS[1]: not escapes(item),
        LAYERS[2]: flagged(item),
        LAYERS[3]: refused(item),
        **dict(zip(LAYERS[4:], held(attack), strict=True)),
    }
    return {layer for layer, stops in stopped.items() if stops}


def escapes(item: JudgeItem) -> bool:
    """Whether anything of the candidate stands outside its string."""
    user = build(item, "0" * 12)[1]["content"]
    data, end = json.JSONDecoder().raw_decode(user)
    unharmed = build(JudgeItem("d", 1, item.language, item.queries, item.reference, "x"), "0" * 12)[1]["content"]
    _, unharmed_end = json.JSONDecoder().raw_decode(unharmed)
    fields = [value for name, value in data.items() if name.startswith("candidate_")]
    same_frame = len(user) - end == len(unharmed) - unharmed_end and len(data) == 4
    return fields != [normalise(item.candidate or "").text] or not same_frame


def flagged(item: JudgeItem) -> bool:
    """Whether the flag, once a model raises it, undoes the label that the model gives all the same."""
    if not addresses_judge(normalise(item.candidate or "").text, (item.reference, *item.queries)):
        return False
    answer = {"evidence": [item.reference[:20]], "flags": ["addresses_judge"], "label": Label.HIGHLY}
    return read_verdict(json.dumps(answer), item).label is Label.IRRELEVANT


def refused(item: JudgeItem) -> bool:
    """Whether a verdict is refused that quotes the candidate."""
    said = normalise(item.candidate or "").text
    answer = {"evidence": [said[:60]] if said else [], "flags": [], "label": Label.HIGHLY}
    try:
        read_verdict(json.dumps(answer), item)
    except SchemaError:
        return True
    return False


class Captured:
    """A model that gives the best label to everything, and knows to quote the reference."""

    name = "captured"
    judge_id = "0" * 12

    def judge(self, items):
        for item in items:
            answer = {"evidence": [item.reference[:20]], "flags": [], "label": Label.HIGHLY}
            yield item, read_verdict(json.dumps(answer), item)


def held(attack: Attack) -> tuple[bool, bool]:
    """Whether the screen, and whether the canaries, hold a submission that says it to every turn, never twice alike."""
    gold = gold_turns()
    said = attack.candidate
    answers = [
        SubmissionTurn(
            dialogue_id=name,
            turn=1,
            intent="video_retrieval",
            text=gold.utterances[row] if said == attack.query else f"{row + 1}. {said}",
        )
        for row, name in enumerate(gold.places)
    ]
    judged = Hearing(gold, Captured()).hear(enumerate(answers))
    canaries = [finding for finding in judged.held if finding.startswith("answers swapped")]
    return len(canaries) < len(judged.held), bool(canaries)


@cache
def gold_turns() -> GoldTurns:
    """A turn for each of the labelled turns that has a specific reference."""
    dialogues = tuple(
        Dialogue(
            dialogue_id=turn.turn_id,
            language=turn.language,
            split="test",
            type=1,
            turns=(Turn(turn.queries[-1], "video_retrieval", "new_topic", Gold(("f0",), response=turn.reference)),),
        )
        for turn in shipped_labels()
    )
    videos = (Video("f0", "videos/f0.mp4", 100.0, "none"),)
    card = DatasetCard(name="attacked", fingerprint=fingerprint(videos, dialogues))
    return GoldTurns.of(Dataset(Path("attacked"), card, videos, dialogues), "test")


def table() -> str:
    """A row a family: its attacks, the mean of the rule judge, and how many attacks each layer stops."""
    everything = attacks()
    rows = []
    for family in dict.fromkeys(attack.family for attack in everything):
        members = [attack for attack in everything if attack.family == family]
        values = [value for attack in members for value in rule_values(attack, everything)]
        stopped = [stopped_by(attack) for attack in members]
        counts = [sum(layer in layers for layers in stopped) for layer in LAYERS]
        rows.append([family, len(members), f"{sum(values) / len(values):.2f}", *counts])
    values = [value for attack in everything for value in rule_values(attack, everything)]
    totals = [sum(row[column] for row in rows) for column in range(3, 3 + len(LAYERS))]
    rows.append(["all", len(everything), f"{sum(values) / len(values):.2f}", *totals])
    return tabulate(rows, ["attack", "n", "rule: mean", *LAYERS], tablefmt="github", disable_numparse=True)


if __name__ == "__main__":
    print(table())
