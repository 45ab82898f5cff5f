"""The rule judge, fact by fact. Each candidate differs from its reference in one thing."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ivcr_bench.scoring.judge.agreement import agreement_report
from ivcr_bench.scoring.judge.items import FLAGS, LABELS, JudgeItem, Label
from ivcr_bench.scoring.judge.labelled import shipped_labels
from ivcr_bench.scoring.judge.rule import RuleJudge, Thresholds

H, M, S, I = LABELS  # noqa: E741
FILM = "A small green star bounces up and down next to a large red box in the desert."
FILM_ZH = "沙漠里一颗绿色的小星星在一个红色的大方块旁边上下蹦跳。"


def verdict(reference, candidate, query="which one?", language=None):
    language = language or ("en" if reference.isascii() else "zh")
    ((_, found),) = RuleJudge().judge([JudgeItem("d", 1, language, (query,), reference, candidate)])
    return found


@pytest.mark.parametrize("reference", [FILM, FILM_ZH])
def test_the_reference_itself_is_right_and_quoted(reference):
    found = verdict(reference, reference)
    assert found.label is H
    assert found.evidence
    assert all(quotation in reference for quotation in found.evidence)


@pytest.mark.parametrize(
    ("reference", "candidate", "label"),
    [
        (FILM, "In the dunes a little green star hops up and down beside a big red square.", H),  # synonyms
        (FILM_ZH, "大漠里有一颗绿色的小星星在一个红色的大方块旁边一蹦一跳的", H),
        (FILM, "A small red star bounces up and down next to a large green box in the desert.", S),  # colours swapped
        (FILM_ZH, "沙漠里一颗红色的小星星在一个绿色的大方块旁边上下蹦跳。", S),
        (FILM, "A small blue star bounces up and down next to a large red box in the desert.", S),  # another colour
        (FILM, "A star bounces up and down next to a box in the desert.", M),  # colours left out
        ("A red car chases a blue bus.", "A blue bus chases a red car.", S),  # turned round
        ("A red car chases a blue bus.", "A blue bus is chased by a red car.", H),  # turned round twice
        ("一辆警车追一辆出租车。", "一辆出租车追一辆警车。", S),
        ("一辆警车追一辆出租车。", "一辆出租车被一辆警车追。", H),
        ("Three dogs ride a board.", "Four dogs ride a board.", S),  # another number
        ("有三只狗在冲浪。", "有四只狗在冲浪。", S),
        ("The thief escapes.", "The thief does not escape.", I),  # a denial
        ("小偷逃走了。", "小偷没有逃走。", I),
        ("The thief does not escape.", "The thief escapes.", I),
    ],
)
def test_facts(reference, candidate, label):
    assert verdict(reference, candidate).label is label


@pytest.mark.parametrize(
    ("time", "label"),
    [
        ("1:12 to 1:20", H),
        ("72 s - 80 s", H),
        ("72.5 s to 80.5 s", H),  # both ends within a second
        ("1 min 12 s until 1 min 20 s", H),
        ("70 s to 82 s", M),  # 8 of 12 s shared: rough
        ("1:15", M),  # an instant within
        ("80 s to 90 s", S),
        ("0:12 to 0:20", S),
        ("some time", S),  # none at all
    ],
)
def test_times(time, label):
    assert (
        verdict("The keeper saves the penalty from 1:12 to 1:20.", f"{time}: the keeper saves the penalty").label
        is label
    )


@pytest.mark.parametrize(
    ("time", "label"),
    [("72 秒到 80 秒", H), ("一分十二秒到一分二十秒", H), ("七十秒到八十二秒", M), ("两分钟到三分钟", S)],
)
def test_chinese_times(time, label):
    assert verdict("1分12秒到1分20秒，守门员扑出了点球。", f"{time}，守门员扑出了点球。").label is label


def test_a_right_time_does_not_make_up_for_another_film():
    assert verdict(f"From 3 s to 9 s: {FILM}", "From 3 s to 9 s: a large white cross blinks at sea.").label is I


@pytest.mark.parametrize(
    ("reference", "candidate", "language", "label"),
    [
        (FILM, FILM_ZH, "en", S),
        (FILM_ZH, FILM, "zh", S),
        (FILM, "城市里有一个白色的圆球", "en", I),
        (FILM_ZH, "The weather is mild in spring and cold in winter.", "zh", I),
        ("You're welcome!", "不客气！", "en", I),
    ],
)
def test_another_language_is_never_more_than_somewhat_relevant(reference, candidate, language, label):
    found = verdict(reference, candidate, language=language)
    assert found.label is label
    assert found.flags == ("wrong_language",)


@pytest.mark.parametrize(
    "candidate",
    ["I'm sorry, I cannot find such a star.", "Unfortunately I do not know.", "As an AI I cannot watch films."],
)
def test_refusals(candidate):
    assert verdict(FILM, candidate).label is I


def test_an_apology_before_a_right_answer_is_no_refusal():
    assert verdict(FILM, f"Sorry for the wait. {FILM}").label is H


@pytest.mark.parametrize(
    ("reference", "candidate", "label"),
    [
        ("You're welcome, enjoy the film.", "My pleasure!", H),
        ("You're welcome, enjoy the film.", "Hello! How can I help you?", I),
        ("You're welcome, enjoy the film.", FILM, I),
        ("不客气，祝你看得开心", "不用谢", H),
        ("不客气，祝你看得开心", "你好，想看什么？", I),
    ],
)
def test_courtesies(reference, candidate, label):
    assert verdict(reference, candidate, query="thanks" if reference.isascii() else "谢谢").label is label


def test_the_question_again_is_no_answer():
    query = "find the film where a small green star bounces"
    assert verdict(FILM, query, query=query).label is I
    assert verdict("Here is the star.", "the star please", query="the star please").label is I


def test_no_text_is_empty():
    assert verdict(FILM, None).flags == ("empty",)
    assert verdict(FILM, "").flags == ("empty",)


@pytest.mark.parametrize(
    "text",
    [
        "She scores three goals and the crowd cheers.",
        "The judge sends the thief to prison.",
        "裁判向球员出示红牌，比赛重新开始。",
        "The teacher reads the instructions to the class.",
        "A highly decorated soldier comes home.",
    ],
)
def test_films_may_speak_of_judges_and_scores(text):
    assert "addresses_judge" not in verdict(FILM, text).flags


def test_what_the_reference_says_itself_does_not_address_the_judge():
    reference = "The evaluator gives the gymnast a perfect score."
    assert verdict(reference, reference).label is H


def test_long_answers_that_name_everything_say_nothing():
    listed = " ".join(f"word{letter}{other}" for letter in "abcdefghij" for other in "abcdefghij")
    assert verdict(FILM, f"{listed} {FILM}").label is H  # a tenth of it is to the point
    assert verdict(FILM, f"{listed} star box").label is I


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200), st.text(min_size=1, max_size=200), st.text(max_size=40), st.sampled_from(["en", "zh"]))
def test_any_texts_get_a_verdict_that_is_always_the_same(candidate, reference, query, language):
    found = verdict(reference, candidate, query, language)
    assert isinstance(found.label, Label)
    assert set(found.flags) <= set(FLAGS)
    assert all(quotation in reference for quotation in found.evidence)
    assert verdict(reference, candidate, query, language) == found


@pytest.mark.parametrize(
    "text", ["一" * 2000, "万" * 2000, "9" * 2000, "1.2.3.4", "²", "1分" * 1000, "1:11:11 " * 250, "不" * 2000]
)
def test_odd_numbers_are_read_somehow(text):
    assert verdict(text, text).label is not None
    assert verdict(FILM_ZH, text).label is I


def test_the_identity_changes_with_the_thresholds():
    assert RuleJudge().judge_id == RuleJudge().judge_id
    assert RuleJudge().judge_id != RuleJudge(Thresholds(highly=0.7)).judge_id


def test_verdicts_change_only_with_the_identity():
    """Whoever changes a verdict changes ``VERSION`` with it; then the two strings here."""
    turns = shipped_labels()
    said = "".join(str(LABELS.index(verdict.label)) for _, verdict in RuleJudge().judge(turn.item() for turn in turns))
    assert (RuleJudge().judge_id, said) == (JUDGE_ID, VERDICTS)


def test_agreement_is_far_above_that_of_any_trivial_judge():
    """On the half that the rule was not tuned on; the trivial judges are cut where that half likes it best."""
    held_out = [turn for turn in shipped_labels() if turn.half == "held_out"]
    report = agreement_report(RuleJudge(), held_out)
    for group in ("all", "en", "zh"):
        trivial = max(groups[group].weighted_kappa.value for groups in report.trivial.values())
        assert report.groups[group].weighted_kappa.value >= trivial + 0.25, group
    assert report.groups["all"].weighted_kappa.low > 0.5


def test_judging_needs_no_heavy_library():
    code = (
        "import sys; from ivcr_bench.scoring.judge.rule import RuleJudge; RuleJudge();"
        "print({'torch', 'openai', 'scipy', 'transformers'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


JUDGE_ID = "233d7559a3f0"
VERDICTS = (
    "000001000000000311111111211211222222222222212133333333333333"
    "000100000000000311111111111111222222222222222133333333333333"
)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "here is the film"),
        ("zh", "here is the film"),
        ("en", "From 2 to 9 s."),
        ("zh", "在这里"),
        ("en", "No, there is no such film."),
    ],
)
def test_the_reference_itself_is_highly_relevant(language, text):
    """Whatever it says, and in whatever language the dataset has it."""
    item = JudgeItem("d", 1, language, ("find me a film",), text, text.upper())
    [(_, verdict)] = RuleJudge().judge([item])
    assert verdict.label is Label.HIGHLY
