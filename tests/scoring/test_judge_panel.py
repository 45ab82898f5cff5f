"""Panels, replay and the drift sentinel."""

from __future__ import annotations

from itertools import permutations

import pytest
from scripted import ScriptedJudge, always

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.items import JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.panel import TOGETHER, PanelJudge, median
from ivcr_bench.scoring.judge.registry import Asking, is_free, judge_named
from ivcr_bench.scoring.judge.replay import ReplayJudge, sign
from ivcr_bench.scoring.judge.sentinel import FROZEN, frozen_items, require_steady
from ivcr_bench.scoring.judge.store import Record, VerdictStore, key_of

HIGHLY, MODERATELY, SOMEWHAT, IRRELEVANT = Label
ITEMS = [JudgeItem(f"d{i}", 1, "en", ("q",), f"reference {i}", f"answer {i}") for i in range(9)]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ((HIGHLY, MODERATELY, IRRELEVANT), MODERATELY),
        ((HIGHLY, HIGHLY, IRRELEVANT), HIGHLY),
        ((HIGHLY, MODERATELY), MODERATELY),  # of an even panel the lower
        ((HIGHLY, IRRELEVANT), IRRELEVANT),
        ((HIGHLY, MODERATELY, SOMEWHAT, IRRELEVANT), SOMEWHAT),
    ],
)
def test_a_panel_gives_the_lower_median(labels, expected):
    for order in permutations(labels):
        assert median([Verdict(label) for label in order]).label is expected


def test_a_panel_fails_where_a_member_fails():
    failed = median([Verdict(HIGHLY), Verdict(None, error="timeout"), Verdict(HIGHLY)])
    assert failed == Verdict(None, error="1 of 3 judges failed: timeout")


def test_a_panel_raises_the_flags_of_its_majority_and_quotes_those_who_agree():
    verdicts = [
        Verdict(SOMEWHAT, ("a",), ("contradiction", "wrong_language")),
        Verdict(SOMEWHAT, ("a", "b"), ("contradiction",)),
        Verdict(HIGHLY, ("c",)),
    ]
    assert median(verdicts) == Verdict(SOMEWHAT, ("a", "b"), ("contradiction",))


def test_a_panel_asks_every_member_about_every_item_once(monkeypatch):
    monkeypatch.setattr("ivcr_bench.scoring.judge.panel.TOGETHER", 4)
    members = [ScriptedJudge(always(label), name=label.value, window=3) for label in (HIGHLY, SOMEWHAT, SOMEWHAT)]
    with pytest.raises(IvcrError, match="3 judges, 2 different"):
        PanelJudge(members)
    panel = PanelJudge(members[:2])
    assert [(item, verdict.label) for item, verdict in panel.judge(iter(ITEMS))] == [(i, SOMEWHAT) for i in ITEMS]
    assert [member.asked for member in members[:2]] == [ITEMS, ITEMS]
    assert panel.name == "panel(highly_relevant,somewhat_relevant)"
    assert panel.judge_id == PanelJudge(members[1::-1]).judge_id
    assert TOGETHER > 64


def stored(folder, judge, items=ITEMS):
    with VerdictStore(folder) as store:
        sign(folder, judge)
        for item, verdict in judge.judge(items):
            store.put(key_of(judge.judge_id, item), Record(verdict))


def test_replay_gives_the_same_verdicts_in_the_same_name_errors_included(tmp_path):
    def script(item):
        return Verdict(None, error="timeout") if item.dialogue_id == "d3" else Verdict(HIGHLY, ("reference",))

    judge = ScriptedJudge(script, name="openai:m-2024-01-01")
    stored(tmp_path, judge)
    with judge_named("replay", Asking(store=tmp_path)) as replay:
        assert (replay.name, replay.judge_id) == (judge.name, judge.judge_id)
        assert list(replay.judge(ITEMS)) == [(item, script(item)) for item in ITEMS]


def test_replay_of_what_was_never_judged_is_an_error(tmp_path):
    stored(tmp_path, ScriptedJudge(always(HIGHLY)), ITEMS[:3])
    with (
        VerdictStore(tmp_path) as store,
        pytest.raises(IvcrError, match=r"no verdict of scripted .* on turn 1 of dialogue 'd3'"),
    ):
        list(ReplayJudge(store).judge(ITEMS))


def test_replay_must_know_whose_verdicts(tmp_path):
    with VerdictStore(tmp_path) as store, pytest.raises(IvcrError, match="found the judges none"):
        ReplayJudge(store)
    judges = [ScriptedJudge(always(HIGHLY), name=name) for name in ("one", "other")]
    for judge in judges:
        stored(tmp_path, judge)
    with VerdictStore(tmp_path) as store:
        with pytest.raises(IvcrError, match="found the judges"):
            ReplayJudge(store)
        assert ReplayJudge(store, "one").judge_id == judges[0].judge_id
        assert ReplayJudge(store, judges[1].judge_id).name == "other"


def test_a_steady_judge_passes_and_one_that_drifts_is_stopped(tmp_path):
    frozen = frozen_items()
    assert len(frozen) == FROZEN
    assert {language: sum(i.language == language for i in frozen) for language in ("en", "zh")} == {"en": 25, "zh": 25}
    changed = {item.dialogue_id for item in frozen[:2]}

    def drifted(item):
        return Verdict(IRRELEVANT if item.dialogue_id in changed else HIGHLY)

    require_steady(ScriptedJudge(always(HIGHLY)), tmp_path)
    again = ScriptedJudge(drifted)
    require_steady(again, tmp_path)  # two others are chance
    assert {item.repeat for item in again.asked} == {1}  # so no store can answer in the judge's place
    changed.add(frozen[2].dialogue_id)
    with pytest.raises(IvcrError, match="has drifted: 3 of 50"):
        require_steady(ScriptedJudge(drifted), tmp_path)
    require_steady(ScriptedJudge(drifted, name="another"), tmp_path)


@pytest.mark.parametrize("name", ["openai", "openai:", "ruler", "rule:x", "local:", "gpt-4"])
def test_an_unknown_judge_is_an_error_that_names_the_known(name, tmp_path):
    with (
        pytest.raises(IvcrError, match="expected one of rule, openai:MODEL, local:PATH, replay"),
        judge_named(name, Asking(store=tmp_path)),
    ):
        pass


def test_only_judges_that_cost_nothing_are_free():
    assert is_free("rule")
    assert is_free(["rule", "replay:0123456789ab"])
    assert not is_free(["rule", "openai:m-2024-01-01"])
    assert not is_free("local:x")
