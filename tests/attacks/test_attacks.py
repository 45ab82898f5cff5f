"""Texts made to please a judge please neither the rule judge nor a language model behind the layers."""

from collections import Counter

import pytest
from attack_layers import (
    LAYERS,
    Captured,
    attacks,
    escapes,
    flagged,
    gold_turns,
    held,
    items,
    refused,
    rule_values,
    stopped_by,
)

from ivcr_bench.schema import SubmissionTurn
from ivcr_bench.scoring.judge.addressing import addresses_judge
from ivcr_bench.scoring.judge.hearing import Hearing
from ivcr_bench.scoring.judge.items import VALUES, JudgeItem, Label
from ivcr_bench.scoring.judge.normalise import normalise
from ivcr_bench.scoring.judge.rule import RuleJudge

ATTACKS = attacks()
ADDRESSING = [a for a in ATTACKS if addresses_judge(normalise(a.candidate).text, (a.reference, a.query))]
BY_ID = {attack.attack_id: attack for attack in ATTACKS}


def test_the_corpus_is_large_and_in_both_languages():
    assert len({attack.candidate for attack in ATTACKS}) >= 60
    languages = Counter(attack.language for attack in ATTACKS)
    assert languages["en"] >= 30
    assert languages["zh"] >= 30
    assert len({attack.family for attack in ATTACKS}) >= 20


def test_no_attack_pleases_the_rule_judge():
    values = {attack.attack_id: rule_values(attack, ATTACKS) for attack in ATTACKS}
    every = [value for found in values.values() for value in found]
    assert max(every) <= VALUES[Label.SOMEWHAT], {name for name, found in values.items() if max(found) > 0.4}
    assert sum(every) / len(every) <= 0.02


def test_attacks_are_tried_on_references_that_a_right_answer_satisfies():
    """So the zeros are not for want of trying."""
    references = {(attack.language, attack.query, attack.reference) for attack in ATTACKS}
    right = [JudgeItem("d", 1, language, (query,), reference, reference) for language, query, reference in references]
    assert {verdict.label for _, verdict in RuleJudge().judge(right)} == {Label.HIGHLY}


@pytest.mark.parametrize("attack", ADDRESSING, ids=lambda a: a.attack_id)
def test_a_right_answer_does_not_carry_an_attack_on_the_judge(attack):
    """Text that speaks to the judge is irrelevant, also beside a right answer."""
    item = next(items(attack, ATTACKS))
    both = JudgeItem("d", 1, item.language, item.queries, item.reference, f"{item.reference}\n{item.candidate}")
    (_, verdict), *_ = RuleJudge().judge([both])
    assert verdict.label is Label.IRRELEVANT


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.attack_id)
def test_no_attack_leaves_its_field(attack):
    assert not escapes(JudgeItem("d", 1, attack.language, (attack.query,), attack.reference, attack.candidate))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.attack_id)
def test_a_model_that_quotes_the_attack_gives_no_verdict(attack):
    assert refused(JudgeItem("d", 1, attack.language, (attack.query,), attack.reference, attack.candidate))


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.attack_id)
def test_a_submission_of_one_attack_is_held_whatever_the_model_says(attack):
    assert any(held(attack))


def test_an_honest_submission_is_not_held_by_the_screen():
    """The layers stop attacks, not answers: right answers pass all but the canaries of a captured model."""
    gold = gold_turns()
    answers = [
        SubmissionTurn(dialogue_id=name, turn=1, intent="video_retrieval", text=gold.references[row])
        for row, name in enumerate(gold.places)
    ]
    assert Hearing(gold, RuleJudge()).hear(enumerate(answers)).publishable
    captured = Hearing(gold, Captured()).hear(enumerate(answers))
    assert [finding.startswith("answers swapped") for finding in captured.held] == [True]


def test_flags_undo_labels_where_the_judge_is_addressed():
    attack = BY_ID["en-03"]
    item = JudgeItem("d", 1, "en", (attack.query,), attack.reference, attack.candidate)
    assert flagged(item)
    assert not flagged(JudgeItem("d", 1, "en", (attack.query,), attack.reference, attack.reference))


def test_what_hides_is_unmasked_before_it_is_judged():
    for attack in ATTACKS:
        if attack.family in ("bidi", "zero-width label"):
            assert LAYERS[0] in stopped_by(attack)


def test_most_attacks_speak_to_the_judge_and_are_known_for_it():
    assert len(ADDRESSING) >= 0.8 * len(ATTACKS)
