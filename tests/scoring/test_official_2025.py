"""``official-2025``: the test vector number for number, each fault by itself, and the correct figure."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from official_files import (
    CHINESE,
    CHINESE_OUTPUT,
    FILMS,
    MOMENT_PROMPT,
    VIDEO_PROMPT,
    A,
    moment,
    samples_of,
    talk,
    vector,
    video,
)

from ivcr_bench.scoring.official.evaluate_2025 import evaluate_2025
from ivcr_bench.scoring.official.explain import explain
from ivcr_bench.scoring.official.faults import FAULTS_2025, OfficialScorerError, all_faults, kept_faults
from ivcr_bench.scoring.official.files import Files2025, Message, Prediction, PromptMessage
from ivcr_bench.scoring.official.tally import METRICS, MOMENT, VIDEO

EVERYTHING = all_faults("official-2025")
CORRECT = kept_faults("official-2025")


def figures(files, on=EVERYTHING, table="overall", row=0, policy="raise"):
    """(right, total) for R@1 and for IoU 0.3, 0.5, 0.7."""
    cells = evaluate_2025(files, frozenset(on), policy).cells()
    found = (cells.get((table, row, metric)) for metric in METRICS)
    return [cell and (cell.right, cell.total) for cell in found]


def answered(*turns_and_outputs, prompt=None):
    """Files of one dialogue whose turns were answered so; user_q is the raw query."""
    turns = [turn for turn, _ in turns_and_outputs]
    dialogue = talk(1, *turns)
    samples = samples_of(dialogue)
    predictions = [Prediction(turn[0].value, said) for turn, said in turns_and_outputs]
    return Files2025(predictions, samples, [dialogue])


def test_vector_overall():
    assert figures(vector()) == [(2, 4), (1, 2), (1, 2), (0, 2)]
    assert figures(vector(), CORRECT) == [(3, 4), (2, 2), (2, 2), (1, 2)]


def test_vector_per_turn():
    assert figures(vector(), table="turn", row=1) == [(2, 3), (1, 1), (1, 1), (0, 1)]
    assert figures(vector(), table="turn", row=2) == [(0, 1), (1, 1), (1, 1), (1, 1)]
    assert figures(vector(), CORRECT, "turn", 2) == [(1, 1), (1, 1), (1, 1), (1, 1)]


def test_vector_with_a_chinese_turn_counts_an_unread_answer_as_a_hit():
    files = vector(chinese=True)
    # A1 is not counted, B1 and C2 are right, and None == None.
    assert figures(files)[0] == (3, 5)
    # A1, B1, C2; E1 was not run; 4 is not 9.
    assert figures(files, CORRECT)[0] == (3, 5)
    assert figures(files, EVERYTHING - {"E3"})[0] == (2, 5)
    assert figures(files, table="turn", row=1)[0] == (3, 4)
    assert figures(files, CORRECT, "turn", 1)[0] == (2, 4)


def test_e1_the_first_sample_of_each_task():
    files = answered((video("a", 1), "video 1"), (moment("b", 5, 10), "5s-10s"))
    assert figures(files, policy="count_wrong") == [(0, 1), (0, 1), (0, 1), (0, 1)]
    assert figures(files, EVERYTHING - {"E1"}, policy="count_wrong") == [(1, 1), (1, 1), (1, 1), (1, 1)]


def test_e2_a_sample_of_no_test_turn_is_credited():
    files = vector()
    stranger = samples_of(talk(1, video("elsewhere", 2)))
    files = replace(
        files, samples=files.samples + stranger, predictions=[*files.predictions, Prediction("x", "video 2")]
    )
    assert figures(files)[0] == (3, 4)
    assert figures(files, EVERYTHING - {"E2"})[0] == (2, 4)


def test_e4_a_missing_prediction_shifts_all_that_follow():
    files = vector()
    short = replace(files, predictions=[*files.predictions[:2], *files.predictions[3:]])  # without B1
    with pytest.raises(OfficialScorerError, match="E4") as error:
        evaluate_2025(short, EVERYTHING, "raise")
    assert error.value.code == "E4"
    # By position B1 is held against C1's words, C1 against C2's; C2 has none.
    assert figures(short, policy="count_wrong") == [(0, 4), (0, 2), (0, 2), (0, 2)]
    # By text C2 (video 1) is C2's although B1 asks the same.
    assert figures(short, EVERYTHING - {"E4"}) == [(1, 4), (1, 2), (1, 2), (0, 2)]
    assert figures(short, CORRECT) == [(2, 4), (2, 2), (2, 2), (1, 2)]


def test_e5_a_gold_answer_in_another_form():
    spoken = moment("b", 5, 10, text="from 5 to 10 seconds")
    files = answered((video("v", 1), "video 1"), (moment("a", 1, 2), "1s-2s"), (spoken, "5s-10s"))
    with pytest.raises(OfficialScorerError, match=r"E5.*turn 3 of dialogue 1"):
        evaluate_2025(files, EVERYTHING, "raise")
    assert figures(files, policy="count_wrong")[1] == (0, 2)
    assert figures(files, EVERYTHING - {"E5"}, policy="count_wrong")[1] == (1, 2)


def test_e5_the_answer_names_another_video_than_the_dataset():
    files = answered((video("a", 1), ""), (moment("m", 1, 2), "1s-2s"), (video("b", 2, "in video 7"), "video 7"))
    assert figures(files, policy="count_wrong")[0] == (1, 2)
    assert figures(files, EVERYTHING - {"E5"}, policy="count_wrong")[0] == (0, 2)


def test_e5_a_gold_film_outside_the_candidates_cannot_be_found():
    lost = [Message("human", "a"), Message("gpt", "in video 3", "Dataset/other.mp4", FILMS, (-1.0, -1.0))]
    assert figures(answered((lost, "video 3")), CORRECT)[0] == (0, 1)


def test_e6_two_equal_instants():
    still = moment("b", 0, 0)
    files = answered((moment("a", 1, 2), "1s-2s"), (video("v", 1), "video 1"), (still, "no idea"))
    with pytest.raises(OfficialScorerError, match="E6"):
        evaluate_2025(files, EVERYTHING, "raise")
    # [0, 0] is what the script makes of no range; equal instants have IoU 1.
    assert figures(files, EVERYTHING - {"E6"}, policy="count_wrong")[1] == (1, 2)
    assert figures(files, CORRECT)[1] == (1, 2)


def test_e7_the_threshold_itself():
    files = answered((moment("a", 1, 2), ""), (moment("b", 0, 10), "0s-5s"), (video("v", 1), ""))
    assert figures(files, policy="count_wrong")[2] == (1, 2)
    assert figures(files, EVERYTHING - {"E7"}, policy="count_wrong")[2] == (0, 2)
    # 3.9 of 7.8 seconds are half, although binary floats say a little less.
    tenths = answered((moment("b", 12.3, 20.1), "12.3s-16.2s"))
    assert figures(tenths, CORRECT)[2] == (1, 1)
    assert figures(tenths, EVERYTHING - {"E1"}, policy="count_wrong")[2] == (0, 1)


def test_e8_the_prompt_says_what_is_asked():
    files = answered((video("a", 1), ""), (moment("b", 1, 2), ""), (video("c", 2), "video 2"))
    sample = files.samples[2]
    nine = PromptMessage("user", sample[-2].content.replace("<VIDEOTOKEN>", "", 1))
    files = replace(files, samples=[*files.samples[:2], (*sample[:-2], nine, sample[-1])])
    assert figures(files, policy="count_wrong")[0] == (0, 2)
    assert figures(files, EVERYTHING - {"E8"}, policy="count_wrong")[0] == (1, 2)


def test_e9_and_e10_forms_of_an_answer():
    turns = [(video("a", 1), ""), (moment("b", 1, 2), "")]
    files = answered(*turns, (video("c", 2), "It happens in 2 video."), (moment("d", 5, 10), "from 5 to 10 seconds"))
    assert figures(files, policy="count_wrong")[:2] == [(0, 2), (0, 2)]
    assert figures(files, EVERYTHING - {"E9"}, policy="count_wrong")[:2] == [(1, 2), (0, 2)]
    assert figures(files, EVERYTHING - {"E10"}, policy="count_wrong")[:2] == [(0, 2), (1, 2)]


def test_e11_files_as_published_match_nothing():
    files = vector()
    tagged = [VIDEO_PROMPT if "video" in p.output else MOMENT_PROMPT for p in files.predictions]
    tagged = [Prediction(tag + p.user_q, p.output) for tag, p in zip(tagged, files.predictions, strict=True)]
    files = replace(files, predictions=tagged)
    assert figures(files) == figures(vector())
    assert figures(files, table="turn", row=1) == [(0, 3), (0, 1), (0, 1), (0, 1)]
    assert figures(files, EVERYTHING - {"E11"}, "turn", 1) == figures(vector(), table="turn", row=1)
    assert figures(files, CORRECT, "turn", 2) == figures(vector(), CORRECT, "turn", 2)


def test_e12_the_first_prediction_with_a_text_serves_all():
    assert figures(vector(), EVERYTHING - {"E12"}, "turn", 2)[0] == (1, 1)


def test_e13_a_query_without_an_answer():
    files = vector()
    open_ended = talk(1, video("q1", 2), [Message("human", "and?")])
    files = replace(files, dialogues=[*files.dialogues, open_ended])
    with pytest.raises(OfficialScorerError, match=r"E13.*turn 2 of dialogue 7"):
        evaluate_2025(files, EVERYTHING, "raise")
    assert figures(files, EVERYTHING - {"E13"}, "turn", 1)[0] == (3, 4)


def test_e13_turn_numbers_when_speakers_do_not_alternate():
    greeted = replace_first_message(talk(1, video("q1", 2), moment("q2", 5, 10)))
    files = Files2025([Prediction("q1", "video 2"), Prediction("q2", "5s-10s")], samples_of(A), [greeted])
    # The greeting makes the first query message 1: int((1 + 2) / 2) = 1; the second is message 3: 2.
    assert figures(files, table="turn", row=1, policy="count_wrong")[0] == (1, 1)
    twice = replace_first_message(greeted)
    files = replace(files, dialogues=[twice])
    assert figures(files, table="turn", row=1, policy="count_wrong") == [None] * 4
    assert figures(files, EVERYTHING - {"E13"}, "turn", 1, "count_wrong")[0] == (1, 1)


def replace_first_message(dialogue):
    greeting = Message("gpt", "Welcome.", gt_se=(-1.0, -1.0))
    return type(dialogue)(dialogue.split, dialogue.type, (greeting, *dialogue.conversations))


def test_e14_errors_do_not_travel():
    files = answered((video("a", 1), "video 2"), (moment("b", 5, 10), "5s-10s"))
    assert figures(files, table="turn", row=2, policy="count_wrong")[1] == (1, 1)
    assert figures(files, EVERYTHING - {"E14"}, "turn", 2, "count_wrong")[1] == (0, 1)


def test_e15_empty_cells_long_dialogues_and_missing_targets():
    lonely = answered((video("a", 1), "video 1"))
    with pytest.raises(OfficialScorerError, match="E15: no query of turn 1 asks for a moment"):
        evaluate_2025(lonely, EVERYTHING, "raise")
    assert figures(lonely, EVERYTHING - {"E15"}) == [(0, 1), (0, 0), (0, 0), (0, 0)]

    long = answered(*[(video(f"a{n}", 1), "video 1") for n in range(8)])
    assert evaluate_2025(long, EVERYTHING).rows("turn") == [1, 2, 3, 4, 5, 6, 7]
    assert evaluate_2025(long, CORRECT).rows("turn") == [1, 2, 3, 4, 5, 6, 7, 8]

    chat = talk(1, [Message("human", "hi"), Message("gpt", "Hi.")])
    with pytest.raises(OfficialScorerError, match="E15: turn 1 of dialogue 1 has no gt_se"):
        evaluate_2025(replace(vector(), dialogues=[chat, *vector().dialogues]), EVERYTHING, "raise")


def test_explain_weighs_each_fault_alone():
    explanation = explain("official-2025", lambda on, policy: evaluate_2025(vector(chinese=True), on, policy))
    effects = {effect.fault.code: effect for effect in explanation.effects}
    assert effects["E1"].gained == {("overall", VIDEO): 1, **{("overall", metric): 1 for metric in MOMENT}}
    assert effects["E3"].lost == {("overall", VIDEO): 1, ("turn", VIDEO): 1}
    assert effects["E12"].gained == {("turn", VIDEO): 1}
    assert {code for code, effect in effects.items() if effect.nothing} == {
        "E2", "E4", "E6", "E8", "E10", "E11", "E13", "E14", "E15"
    }  # fmt: skip
    assert explanation.official.cells() == evaluate_2025(vector(chinese=True), EVERYTHING).cells()


def test_every_fault_is_said_in_one_line_and_only_once():
    codes = [fault.code for fault in FAULTS_2025]
    assert codes == [f"E{n}" for n in range(1, 17)]
    assert all(fault.effect and "\n" not in fault.effect for fault in FAULTS_2025)


# The correct figure against a computation that knows what each turn is, and no text.

SAID_VIDEO = ["video {}", "happens in {} video.", "视频{}中", "在视频{}里"]
SAID_MOMENT = ["{}s-{}s", "from {} to {} seconds", "从{}秒到{}秒"]


@st.composite
def truths(draw):
    """Dialogues of (task, gold, said or None); what is said is an index, or a range in whole seconds."""
    turn = st.one_of(
        st.tuples(st.just("video"), st.integers(1, 10), st.one_of(st.none(), st.integers(1, 10))),
        st.tuples(st.just("moment"), _range(), st.one_of(st.none(), _range())),
    )
    dialogues = st.lists(st.lists(turn, min_size=1, max_size=4), min_size=1, max_size=5)
    return draw(dialogues), draw(st.randoms(use_true_random=False)), draw(st.lists(st.booleans(), min_size=20))


def _range():
    return st.tuples(st.integers(0, 20), st.integers(1, 10)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(deadline=None, max_examples=200)
@given(truths())
def test_with_the_faults_off_the_figure_is_what_is_true(drawn):
    truth, rng, dropped = drawn
    dialogues, samples, predictions, wanted = [], [], [], dict.fromkeys(METRICS, 0)
    for number, turns in enumerate(truth):
        made = [_made(f"d{number} t{n} 问", *turn[:2]) for n, turn in enumerate(turns)]
        dialogue = talk(rng.choice([1, 2, 7]), *made)
        dialogues.append(dialogue)
        for (task, gold, said), sample in zip(turns, samples_of(dialogue), strict=True):
            if dropped and dropped.pop():
                continue
            samples.append(sample)
            predictions.append(Prediction(sample[-2].content, _output(rng, task, said)))
            for metric in _right(task, gold, said):
                wanted[metric] += 1
    tally = evaluate_2025(Files2025(predictions, samples, dialogues), CORRECT, "raise")
    n_video = sum(task == "video" for turns in truth for task, *_ in turns)
    n_moment = sum(map(len, truth)) - n_video
    for metric in METRICS:
        cell = tally.cell("overall", metric)
        assert (cell.right, cell.total) == (wanted[metric], n_video if metric == VIDEO else n_moment)
        per_turn = [tally.cell("turn", metric, row) for row in tally.rows("turn")]
        assert (sum(c.right for c in per_turn), sum(c.total for c in per_turn)) == (cell.right, cell.total)


def _made(query, task, gold):
    return video(query, gold) if task == "video" else moment(query, *gold)


def _output(rng, task, said):
    if said is None:
        return rng.choice(["no idea", "不知道", ""])
    return rng.choice(SAID_VIDEO).format(said) if task == "video" else rng.choice(SAID_MOMENT).format(*said)


def _right(task, gold, said):
    if said is None:
        return []
    if task == "video":
        return [VIDEO] if gold == said else []
    shared = len(set(range(*gold)) & set(range(*said)))  # whole seconds
    covered = len(set(range(*gold)) | set(range(*said)))
    return [metric for metric, tenths in zip(MOMENT, (3, 5, 7), strict=True) if 10 * shared >= tenths * covered]


def test_a_chinese_answer_that_is_right_is_right():
    files = Files2025([Prediction("在哪里", CHINESE_OUTPUT.replace("9", "4"))], samples_of(CHINESE), [CHINESE])
    assert figures(files, CORRECT)[0] == (1, 1)
