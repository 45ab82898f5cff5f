import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.metrics.agreement import AnnotationTask

from ivcr_bench.errors import IvcrError
from ivcr_bench.scoring.judge.agreement import NOMINAL, SQUARED, agreement, agreement_report, kappa, render_agreement
from ivcr_bench.scoring.judge.items import LABELS, VALUES, Verdict
from ivcr_bench.scoring.judge.labelled import LabelledTurn, read_labels, shipped_labels
from ivcr_bench.scoring.judge.trivial import best_cuts, token_f1, trivial_labels

H, M, S, I = LABELS  # noqa: E741
LINE = '{"turn_id":"a","language":"en","queries":["q"],"reference":"r","candidate":"c","label":"irrelevant"}\n'
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=30)


def confusion(pairs):
    counts = np.zeros((4, 4))
    for gold, said in pairs:
        counts[LABELS.index(gold), LABELS.index(said)] += 1
    return counts


def test_kappa_of_a_hand_worked_table():
    # Labels H 4, M 3, S 2, I 1; the judge says H 3, M 3, S 3, I 1.
    pairs = [(H, H), (H, H), (H, M), (H, S), (M, H), (M, M), (M, M), (S, S), (S, S), (I, I)]
    # Unweighted: observed 7/10, by chance (4*3 + 3*3 + 2*3 + 1*1) / 100 = 0.28; (0.7 - 0.28) / 0.72 = 7/12.
    assert float(kappa(confusion(pairs), NOMINAL)) == pytest.approx(7 / 12)
    # Squared: observed 0.16 (H-M) + 0.36 (H-S) + 0.16 (M-H) = 0.68. By chance, with rows x columns / 10:
    # H: 4*3*0.16 + 4*3*0.36 + 4*1*1 = 10.24; M: 3*3*0.16 + 3*3*0.04 + 3*1*0.36 = 2.88;
    # S: 2*3*0.36 + 2*3*0.04 + 2*1*0.16 = 2.72; I: 1*3*1 + 1*3*0.36 + 1*3*0.16 = 4.56; 20.4 / 10 = 2.04.
    assert float(kappa(confusion(pairs), SQUARED)) == pytest.approx(1 - 0.68 / 2.04)


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_kappas_are_those_of_nltk(pairs):
    ours = float(kappa(confusion(pairs), NOMINAL)), float(kappa(confusion(pairs), SQUARED))
    if len({label for pair in pairs for label in pair}) == 1:
        assert np.isnan(ours).all()
        return
    rows = [(coder, str(n), pair[index]) for n, pair in enumerate(pairs) for index, coder in enumerate("ab")]
    assert ours[0] == pytest.approx(AnnotationTask(rows).kappa())
    weighted = AnnotationTask(rows, distance=lambda a, b: (VALUES[a] - VALUES[b]) ** 2)
    assert ours[1] == pytest.approx(weighted.weighted_kappa())


@settings(max_examples=40, deadline=None)
@given(PAIRS)
def test_squared_weights_make_kappa_the_concordance_correlation(pairs):
    """Lin 1989: 2 s_xy / (s_x^2 + s_y^2 + (m_x - m_y)^2) with the moments divided by n."""
    x, y = (np.array([VALUES[pair[index]] for pair in pairs]) for index in (0, 1))
    scale = x.var() + y.var() + (x.mean() - y.mean()) ** 2
    if scale < 1e-12:
        return
    covariance = np.cov(x, y, ddof=0)[0, 1]
    assert float(kappa(confusion(pairs), SQUARED)) == pytest.approx(2 * covariance / scale, abs=1e-9)


def test_perfect_and_constant_judges():
    gold = [H, M, S, I] * 5
    perfect, constant = agreement(gold, gold), agreement(gold, [H] * 20)
    assert (perfect.weighted_kappa.value, perfect.kappa.value, perfect.exact.value) == (1, 1, 1)
    assert (perfect.weighted_kappa.low, perfect.weighted_kappa.high) == (1, 1)
    assert constant.weighted_kappa.value == pytest.approx(0)
    assert constant.mean_signed_error.value == pytest.approx((0 + 0.4 + 0.6 + 1) / 4)  # the judge is generous
    assert constant.confusion == [[5, 0, 0, 0]] * 4


def test_the_interval_holds_the_value_and_narrows_with_turns():
    gold, said = [H, M, S, I, H, I], [H, S, S, I, M, S]
    few, many = agreement(gold * 4, said * 4).weighted_kappa, agreement(gold * 64, said * 64).weighted_kappa
    assert few.low < few.value < few.high
    assert few.value == pytest.approx(many.value)
    assert many.high - many.low < (few.high - few.low) / 2


class Scripted:
    name, judge_id = "scripted", "0" * 12

    def __init__(self, labels):
        self.labels, self.asked = labels, []

    def judge(self, items):
        for item in items:
            self.asked.append(item.dialogue_id)
            yield item, Verdict(self.labels[item.dialogue_id])


def turn(turn_id, label, candidate="A red car.", language="en", **fields):
    return LabelledTurn(
        turn_id=turn_id,
        language=language,
        queries=("what?",),
        reference="A red car.",
        candidate=candidate,
        label=label,
        **fields,
    )


def test_empty_answers_are_not_asked_about_and_errors_are_counted():
    turns = [turn("a", H), turn("b", I, candidate=" \u200b"), turn("c", M), turn("d", S, language="zh")]
    judge = Scripted({"a": H, "c": None, "d": S})
    report = agreement_report(judge, turns)
    assert judge.asked == ["a", "c", "d"]
    assert report.errors == 1
    assert report.groups["all"].turns == 3
    assert report.groups["all"].exact.value == 1
    assert list(report.groups) == ["all", "en", "zh"]


def test_halves_are_reported_apart():
    turns = [turn("a", H, half="tuning"), turn("b", I, half="held_out"), turn("c", S, half="held_out", language="zh")]
    report = agreement_report(Scripted({"a": H, "b": H, "c": S}), turns)
    assert report.groups["tuning"].exact.value == 1
    assert report.groups["held_out"].exact.value == 0.5
    assert report.groups["held_out, zh"].turns == 1


def test_a_judge_without_any_verdict_is_an_error():
    with pytest.raises(IvcrError, match="no verdict on any of 1 turns"):
        agreement_report(Scripted({"a": None}), [turn("a", H)])


def test_the_tables_name_the_judge_and_all_it_is_compared_with():
    text = render_agreement(agreement_report(Scripted({"a": H, "b": I}), [turn("a", H), turn("b", S)]))
    for part in ("scripted (000000000000)", "always irrelevant", "longest wins", "BLEU-4", "token F1", *LABELS):
        assert part in text


def test_trivial_judges():
    turns = [turn("a", I, "x"), turn("b", H, "A red car."), turn("c", M, "A red bus. A big bus, a bus indeed.")]
    said = trivial_labels(turns)
    assert set(said["always somewhat_relevant"].values()) == {S}
    assert said["token F1"] == {"a": I, "b": H, "c": M}
    assert said["longest wins"]["c"] is not I


def test_cuts_are_the_best_there_are():
    # The order of scores is that of the labels, so that cuts exist that make no mistake.
    gold = np.array([1.0, 1, 0.6, 0.6, 0.4, 0, 0])
    assert best_cuts(np.arange(7.0)[::-1], gold).tolist() == [0, 0, 1, 1, 2, 3, 3]


def test_token_f1_by_hand():
    # "red car" and "a red bus": one shared, precision 1/2, recall 1/3, F1 2 * (1/6) / (5/6) = 0.4.
    assert token_f1("Red car", "a red bus") == pytest.approx(0.4)
    assert token_f1("", "a") == 0


def test_the_shipped_labels_are_what_the_guideline_says():
    turns = shipped_labels()
    assert len(turns) == 120
    for language in ("en", "zh"):
        for half in ("tuning", "held_out"):
            part = [turn for turn in turns if turn.language == language and turn.half == half]
            assert len(part) == 30
            assert {turn.label for turn in part} == set(LABELS)
    assert len({turn.case for turn in turns}) >= 15


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "holds no labelled turn"),
        ('{"turn_id":"a"}', "language"),
        (
            '{"turn_id":"a","language":"en","queries":["q"],"reference":"r","candidate":"c","label":"good"}',
            "label",
        ),
        (
            '{"turn_id":"a","language":"en","queries":["q"],"reference":"r","candidate":"c","label":"irrelevant"}\n'
            * 2,
            "found 'a' 2 times",
        ),
    ],
)
def test_wrong_files_of_labels_are_named(tmp_path, lines, says):
    path = tmp_path / "labels.jsonl"
    path.write_text(lines)
    with pytest.raises(IvcrError, match=says):
        read_labels(path)
