"""``official-2024``: the zeroing rule, each fault by itself, and what the correct figure is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ivcr_bench.scoring.official.evaluate_2024 import MOMENT_QUERIES, evaluate_2024
from ivcr_bench.scoring.official.explain import explain
from ivcr_bench.scoring.official.faults import FAULTS_2024, OfficialScorerError, all_faults, kept_faults
from ivcr_bench.scoring.official.files_2024 import (
    DialogueTurn,
    Files2024,
    FormattedRecord,
    GoldQuery,
    Output,
)
from ivcr_bench.scoring.official.tally import INTENT, MOMENT, VIDEO

EVERYTHING = all_faults("official-2024")
CORRECT = kept_faults("official-2024")
FILMS = tuple(f"f{n}" for n in range(1, 11))


def said_video(query, index, *, number="0", intent="The intent is video retrieval.", films=FILMS):
    return Output(number, query, films, text=f"{intent} It happens in <{index}> video. Because.")


def said_moment(query, text, *, number="0", intent="The intent is temporal video grounding."):
    return Output(number, query, "f1", text=f"{intent} {text} seconds. Because.")


def files(videos=(), moments=(), gold_videos=(), gold_moments=(), dialogues=()):
    return Files2024(videos, moments, gold_videos, gold_moments, dialogues)


def gold_video(query, film, films=FILMS):
    return GoldQuery(query, video_path=film, video_top10_list=films)


def gold_moment(query, start, end, number=0):
    return GoldQuery(query, id=number, gt_se=(start, end))


def cell(given_files, metric, on=EVERYTHING, table="overall", row=0, policy="count_wrong"):
    found = evaluate_2024(given_files, frozenset(on), policy).cell(table, metric, row)
    return found.right, found.total


def turn_video(query, film, films=FILMS):
    return DialogueTurn(query, video_path=film, top10_list=films)


def turn_moment(query, *times):
    return DialogueTurn(query, gt_se=times)


def zeroing():
    """{T, .6, F, .9, T}: five turns, judged so one by one."""
    dialogue = [
        turn_video("v1", "f1"),
        turn_moment("m1", 0.0, 10.0),
        turn_video("v2", "f2"),
        turn_moment("m2", 0.0, 10.0),
        turn_video("v3", "f3"),
    ]
    videos = [said_video("v1", 1), said_video("v2", 9), said_video("v3", 3)]
    moments = [said_moment("m1", "0-6", number="1"), said_moment("m2", "0-9", number="2")]
    return files(videos, moments, dialogues=[dialogue])


def credited(given_files, on):
    tally = evaluate_2024(given_files, frozenset(on), "count_wrong")
    return {(row, metric) for (table, row, metric, _) in tally.credits if table == "turn"}


def test_k6_after_a_failed_video_turn_all_later_turns_are_zero():
    assert credited(zeroing(), EVERYTHING) == {(1, VIDEO), (2, MOMENT[0]), (2, MOMENT[1])}
    later = {(4, metric) for metric in MOMENT} | {(5, VIDEO)}
    assert credited(zeroing(), EVERYTHING - {"K6"}) == credited(zeroing(), EVERYTHING) | later
    assert credited(zeroing(), CORRECT) == credited(zeroing(), EVERYTHING)


def test_k6_a_failed_moment_harms_nothing():
    dialogue = [turn_moment("m1", 0.0, 10.0), turn_video("v1", "f1")]
    given_files = files([said_video("v1", 1)], [said_moment("m1", "50-60")], dialogues=[dialogue])
    assert credited(given_files, EVERYTHING) == {(2, VIDEO)}


def test_k1_the_last_prediction_of_a_text_serves_all():
    dialogues = [[turn_video("same", "f1")], [turn_video("same", "f2")]]
    given_files = files([said_video("same", 1), said_video("same", 2)], dialogues=dialogues)
    assert cell(given_files, VIDEO, table="turn", row=1) == (1, 2)
    assert cell(given_files, VIDEO, EVERYTHING - {"K1"}, "turn", 1) == (2, 2)


def test_k2_a_moment_without_a_prediction_is_given_the_gold_range():
    given_files = files(gold_moments=[gold_moment("m", 3.0, 8.0)], dialogues=[[turn_moment("m", 3.0, 8.0)]])
    assert cell(given_files, MOMENT[2], table="turn", row=1) == (1, 1)
    assert cell(given_files, MOMENT[2], EVERYTHING - {"K2"}, "turn", 1) == (0, 1)
    failed = files(gold_moments=[gold_moment("m", 3.0, 8.0)], dialogues=[[turn_moment("m")]])
    assert cell(failed, MOMENT[2], table="turn", row=1) == (0, 1)


@pytest.mark.parametrize(
    ("videos", "film", "films", "code"),
    [
        ([], "f1", FILMS, "K3"),
        ([said_video("v", 11)], "f1", FILMS, "K4"),
        ([said_video("v", 1)], "elsewhere", FILMS, "K4"),
    ],
)
def test_k3_k4_crash(videos, film, films, code):
    given_files = files(videos, dialogues=[[turn_video("v", film, films)]])
    with pytest.raises(OfficialScorerError) as error:
        evaluate_2024(given_files, EVERYTHING, "raise")
    assert error.value.code == code
    assert cell(given_files, VIDEO, table="turn", row=1) == (0, 1)
    assert cell(given_files, VIDEO, CORRECT, "turn", 1) == (0, 1)


def test_k4_no_index_is_the_tenth_candidate():
    given_files = files([said_video("v", "?")], dialogues=[[turn_video("v", "f10")]])
    assert cell(given_files, VIDEO, table="turn", row=1) == (1, 1)
    assert cell(given_files, VIDEO, EVERYTHING - {"K4"}, "turn", 1) == (0, 1)


def test_k5_no_range_is_an_instant_at_zero():
    silent = Output("0", "m", "f1", record=FormattedRecord("m", "The intent is x.", "f1", timestamp=()))
    still = files(moments=[silent], dialogues=[[turn_moment("m", 0.0, 0.0)]])
    with pytest.raises(OfficialScorerError, match="G6"):
        evaluate_2024(still, EVERYTHING, "raise")
    assert cell(still, MOMENT[0], EVERYTHING - {"G6"}, "turn", 1) == (1, 1)
    assert cell(still, MOMENT[0], EVERYTHING - {"K5"}, "turn", 1) == (0, 1)
    twice = FormattedRecord("m", "The intent is x.", "f1", timestamp=((2.0, 4.0), (5.0, 6.0)))
    two = files(moments=[Output("0", "m", "f1", record=twice)], dialogues=[[turn_moment("m", 2.0, 4.0)]])
    assert cell(two, MOMENT[0], table="turn", row=1) == (0, 1)
    assert cell(two, MOMENT[0], EVERYTHING - {"K5"}, "turn", 1) == (1, 1)


def test_k7_another_intent_counts_per_turn_and_not_overall():
    wrong = said_video("v", 1, intent="The intent is natural dialogue.")
    given_files = files([wrong], gold_videos=[gold_video("v", "f1")], dialogues=[[turn_video("v", "f1")]])
    assert cell(given_files, VIDEO, table="turn", row=1) == (1, 1)
    assert cell(given_files, VIDEO, EVERYTHING - {"K7"}, "turn", 1) == (0, 1)
    assert cell(given_files, VIDEO) == (0, 1)
    assert cell(given_files, VIDEO, EVERYTHING - {"V4"}) == (1, 1)


def test_k8_six_turns():
    given_files = files([said_video("v", 1)], dialogues=[[turn_video("v", "f1")] * 8])
    with pytest.raises(OfficialScorerError, match="K8: no query of turn 1 asks for a moment"):
        evaluate_2024(given_files, EVERYTHING, "raise")
    assert evaluate_2024(given_files, EVERYTHING).rows("turn") == [1, 2, 3, 4, 5, 6]
    assert evaluate_2024(given_files, CORRECT).rows("turn") == list(range(1, 9))


def test_k8_a_turn_without_a_task_crashes_unless_it_ends_the_dialogue():
    chat, find = DialogueTurn("hello"), turn_video("v", "f1")
    assert evaluate_2024(files([said_video("v", 1)], dialogues=[[find, chat]]), EVERYTHING).crashes["K8"] == 6
    assert evaluate_2024(files([said_video("v", 1)], dialogues=[[chat, find]]), EVERYTHING).crashes["K8"] == 7


def test_g1_the_denominator_is_a_constant():
    given_files = files(moments=[said_moment("m", "5-10")], gold_moments=[gold_moment("m", 5.0, 10.0)])
    assert cell(given_files, MOMENT[2], policy="raise") == (1, MOMENT_QUERIES)
    assert cell(given_files, MOMENT[2], EVERYTHING - {"G1"}) == (1, 1)


def test_g2_g5_a_gold_moment_without_a_prediction():
    two = [gold_moment("m", 5.0, 10.0), gold_moment("n", 5.0, 10.0, number=1)]
    given_files = files(moments=[said_moment("m", "5-10")], gold_moments=two)
    for on, code in ((EVERYTHING, "G2"), (EVERYTHING - {"G2"}, "G5")):
        with pytest.raises(OfficialScorerError) as error:
            evaluate_2024(given_files, on, "raise")
        assert error.value.code == code
    assert cell(given_files, MOMENT[2], CORRECT) == (1, 2)


def test_g3_the_intent_gate():
    unstated = files(moments=[said_moment("m", "5-10", intent="So.")], gold_moments=[gold_moment("m", 5.0, 10.0)])
    assert cell(unstated, MOMENT[0])[0] == 0
    assert cell(unstated, MOMENT[0], EVERYTHING - {"G3"})[0] == 1


def test_v1_equal_queries_multiply():
    given_files = files([said_video("v", 1)] * 2, gold_videos=[gold_video("v", "f1")] * 2)
    assert cell(given_files, VIDEO) == (4, 2)  # 200 %
    assert cell(given_files, VIDEO, EVERYTHING - {"V1"}) == (2, 2)


def test_v2_any_number_is_an_index():
    numbered = Output("0", "v", FILMS, text="The intent is video retrieval. In 9 of 10 cases video 3. So.")
    given_files = files([numbered], gold_videos=[gold_video("v", "f3")])
    assert cell(given_files, VIDEO) == (0, 1)
    assert cell(given_files, VIDEO, EVERYTHING - {"V2"}) == (1, 1)


def test_v3_candidates_of_the_result_file():
    shuffled = files([said_video("v", 1, films=FILMS[::-1])], gold_videos=[gold_video("v", "f10")])
    assert cell(shuffled, VIDEO) == (1, 1)
    assert cell(shuffled, VIDEO, EVERYTHING - {"V3"}) == (0, 1)


def test_v6_v9_an_output_with_one_period_is_dropped():
    short = Output("0", "v", FILMS, text="The intent is video retrieval, and it is video 3.")
    given_files = files([short, said_video("w", 1)], gold_videos=[gold_video("v", "f3"), gold_video("w", "f1")])
    assert cell(given_files, VIDEO) == (1, 2)
    assert cell(given_files, VIDEO, CORRECT) == (2, 2)
    assert cell(given_files, INTENT) == (1, 1)
    assert cell(given_files, INTENT, EVERYTHING - {"V9"}) == (1, 2)


def test_v7_a_decimal_point_ends_a_sentence():
    text = "The intent is video retrieval of 0.5 s. It is video 3. So."
    given_files = files([Output("0", "v", FILMS, text=text)], gold_videos=[gold_video("v", "f3")])
    assert cell(given_files, VIDEO) == (0, 1)
    assert cell(given_files, VIDEO, EVERYTHING - {"V7"}) == (1, 1)


def test_e10_chinese_range():
    spoken = Output("0", "m", "f1", text="The intent is temporal video grounding. 从5秒到10秒. So.")
    given_files = files(moments=[spoken], gold_moments=[gold_moment("m", 5.0, 10.0)])
    assert cell(given_files, MOMENT[2])[0] == 0
    assert cell(given_files, MOMENT[2], EVERYTHING - {"E10"})[0] == 1


def test_explain_names_what_moved():
    given_files = files([said_video("v", 1)] * 2, gold_videos=[gold_video("v", "f1")] * 2)
    effects = explain("official-2024", lambda on, policy: evaluate_2024(given_files, on, policy)).effects
    assert {effect.fault.code: dict(effect.lost) for effect in effects if not effect.nothing} == {
        "V1": {("overall", VIDEO): 2}
    }


def test_every_fault_is_listed():
    codes = {fault.code for fault in FAULTS_2024}
    expected = {f"{letter}{n}" for letter, last in (("K", 8), ("G", 6), ("V", 10)) for n in range(1, last + 1)}
    assert codes == expected | {"E10"}


judged = st.lists(st.one_of(st.booleans(), st.integers(0, 10).map(lambda tenths: tenths / 10)), min_size=1, max_size=6)


@given(st.lists(judged, min_size=1, max_size=4))
def test_the_zeroing_rule_equals_walking_the_turns(dialogues):
    """A turn is a bool (a video found or not) or an IoU, as in the script."""
    videos, moments, talks, wanted = [], [], [], set()
    for d, turns in enumerate(dialogues):
        talk, alive = [], True
        for t, value in enumerate(turns):
            query = f"{d} {t}"
            if isinstance(value, bool):
                talk.append(turn_video(query, "f1"))
                videos.append(said_video(query, 1 if value else 2))
                wanted |= {(d, t, VIDEO)} if alive and value else set()
                alive = alive and value
            else:
                talk.append(turn_moment(query, 0.0, 10.0))
                moments.append(said_moment(query, f"0-{10 * value:g}", number=query))
                reached = [m for m, bound in zip(MOMENT, (0.3, 0.5, 0.7), strict=True) if value >= bound]
                wanted |= {(d, t, metric) for metric in reached if alive}
        talks.append(talk)
    tally = evaluate_2024(files(videos, moments, dialogues=talks), CORRECT, "raise")
    found = {(*key, metric) for (table, _, metric, key) in tally.credits if table == "turn"}
    assert found == {(d, t + 1, metric) for d, t, metric in wanted}
