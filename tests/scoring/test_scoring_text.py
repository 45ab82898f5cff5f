import math

import pytest
from hand_made import chat_turn, dataset, dialogue, said, score, submission

from ivcr_bench.scoring.text import bleu, ngram_statistics, tokenise


def test_one_answer_by_hand():
    # answer    the red star circles a square         6 tokens
    # reference the red star circles the blue square  7 tokens
    # 1-grams 5 of 6 (the, red, star, circles, square), 2-grams 3 of 5, 3-grams 2 of 4, 4-grams 1 of 3;
    # BP = exp(1 - 7/6); BLEU = BP * (5/6 * 3/5 * 2/4 * 1/3) ** (1/4) = BP * (1/12) ** (1/4).
    rows = ngram_statistics(["the red star circles a square"], ["the red star circles the blue square"])
    assert rows.tolist() == [[5, 3, 2, 1, 6, 5, 4, 3, 6, 7]]
    assert bleu(rows[0]) == pytest.approx(math.exp(1 - 7 / 6) * (1 / 12) ** 0.25, rel=1e-12)


def test_smoothing_by_hand():
    # answer    red star turns blue   4 tokens: 3 of 4, 1 of 3 ("red star"), 0 of 2, 0 of 1
    # reference red star is blue      4 tokens; the orders without a match count 1/2 of 2 and 1/4 of 1.
    [row] = ngram_statistics(["red star turns blue"], ["red star is blue"])
    assert bleu(row) == pytest.approx(0, abs=1e-70)
    assert bleu(row, smoothed=True) == pytest.approx((3 / 4 * 1 / 3 * 1 / 4 * 1 / 4) ** 0.25, rel=1e-12)


def test_smoothing_does_not_pay_for_an_answer_without_a_right_word():
    [row] = ngram_statistics(["a b c d"], ["e f g h"])
    assert bleu(row, smoothed=True) == 0


def test_tokens_of_one_text_do_not_reach_into_the_next():
    # Side by side, "a b c" would continue "x": no pair of neighbours in the batch may make an n-gram.
    alone = [[0, 0, 0, 0, 1, 1, 1, 1, 1, 3], [0, 0, 0, 0, 3, 2, 1, 1, 3, 3]]
    assert ngram_statistics(["x", "a b c"], ["a b c", "d e f"]).tolist() == alone


def test_repeating_a_word_does_not_pay():
    # "the the the" matches the one "the" of the reference once.
    assert ngram_statistics(["the the the"], ["the star"])[0, 0] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It ends at 12.5s.", ["It", "ends", "at", "12.5s", "."]),
        ("1,000 stars, (all red)!", ["1,000", "stars", ",", "(", "all", "red", ")", "!"]),
        ("&quot;A &amp; B&quot;", ['"', "A", "&", "B", '"']),
        ("红色的星。", ["红", "色", "的", "星", "。"]),
        ("在video 3，12.5秒", ["在", "video", "3", "，", "12.5", "秒"]),
        ("𠀀〇", ["𠀀", "〇"]),
        ("  \n\t　", []),
    ],
)
def test_tokens(text, expected):
    assert tokenise(text) == expected


def test_a_corpus_by_hand_in_two_languages():
    # en: two turns, reference "a b c d e" (5 tokens) each. One is answered word for word, one has no answer.
    #   matches 5 4 3 2; n-grams 5+1 4+1 3+1 2+1 (nltk counts at least one of each order a turn); h = 5, r = 10.
    #   BLEU = exp(1 - 10/5) * (5/6 * 4/5 * 3/4 * 2/3) ** (1/4) = exp(-1) * (1/3) ** (1/4)
    # zh: one turn, word for word: 1. Overall: the mean of the two.
    world = dataset(
        dialogue("e1", chat_turn("a b c d e")),
        dialogue("e2", chat_turn("a b c d e")),
        dialogue("z1", chat_turn("红星绕蓝方"), language="zh"),
    )
    report = score(world, "test", submission(said("e1", 1, "a b c d e"), said("z1", 1, "红星绕蓝方")))
    english = math.exp(-1) * (1 / 3) ** 0.25
    assert report.slices["language"]["en"]["none"]["BLEU-4"].value == pytest.approx(english, rel=1e-12)
    assert report.slices["language"]["zh"]["none"]["BLEU-4"].value == 1
    assert report.overall["none"]["BLEU-4"].value == pytest.approx((english + 1) / 2, rel=1e-12)
    assert report.overall["none"]["BLEU-4"].n == 3


def test_a_turn_without_reference_does_not_count():
    world = dataset(dialogue("d", chat_turn("a b c d"), chat_turn("")))
    figure = score(world, "test", submission(said("d", 1, "a b c d"), said("d", 2, "x y z"))).overall["none"]["BLEU-4"]
    assert (figure.value, figure.n) == (1, 1)


def test_bleu_can_rise_when_a_long_bad_answer_is_left_out():
    # A property of corpus BLEU, stated in docs/metrics.md: 40 wrong words dilute the precision of all turns.
    world = dataset(dialogue("d", chat_turn("a b c d e f"), chat_turn("g h i j")))
    good, bad = said("d", 1, "a b c d e f"), said("d", 2, "x " * 40)
    with_bad = score(world, "test", submission(good, bad)).overall["none"]["BLEU-4"].value
    without = score(world, "test", submission(good)).overall["none"]["BLEU-4"].value
    assert with_bad < without


def test_nltk_asks_for_four_tokens_even_of_a_perfect_answer():
    # "thank you !" has no 4-gram, counted as 0 of 1: a corpus of such references cannot reach 1, in nltk nor here.
    rows = ngram_statistics(["Thank you!"], ["Thank you!"])
    assert rows.tolist() == [[3, 2, 1, 0, 3, 2, 1, 1, 3, 3]]
    assert bleu(rows[0]) < bleu(rows[0], smoothed=True) < 1
