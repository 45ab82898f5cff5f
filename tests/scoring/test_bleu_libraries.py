"""BLEU and its tokens against nltk and sacrebleu, on random texts."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from ivcr_bench.scoring import text, tokens
from ivcr_bench.scoring.text import bleu, ngram_statistics, tokenise

thorough = settings(max_examples=2000, deadline=None)
some = settings(max_examples=500, deadline=None)

words = st.sampled_from(["the", "red", "star", "circles", "a", ",", "3", "红", "星"])
sentences = st.lists(words, max_size=14).map(" ".join)
corpora = st.lists(st.tuples(sentences, sentences), min_size=1, max_size=6)
long_corpora = st.lists(
    st.tuples(*[st.lists(words, min_size=4, max_size=14).map(" ".join)] * 2), min_size=1, max_size=6
)

# What mteval-v13a treats in some way of its own, and what might hide it.
PIECES = [*"a7.,-&;<> \n\t'\"!/_", "...", "--", "1,000", "3.5", "-\n", "<skipped>", "<skip", "ped>", "&quot;"]
PIECES += [
    "&amp;",
    "&lt;",
    "&gt;",
    "&amp;quot;",
    "&amp;amp;lt;",
    "&am<skipped>p;",
    "é",
    "—",
    "\u00a0",
    "\u0085",
    "\x1c",
]
CHINESE = ["红", "星", "。", "，", "（", "\u3000", "\U00020000"]


def texts(pieces):
    return st.lists(st.sampled_from(pieces) | st.characters(exclude_categories=["Cs"]), max_size=24).map("".join)


def by_nltk(pairs, smoothing=None):
    answers, references = zip(*pairs, strict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of orders without a match
        return corpus_bleu(
            [[tokenise(text)] for text in references], [*map(tokenise, answers)], smoothing_function=smoothing
        )


def ours(pairs, **options):
    return bleu(ngram_statistics(*zip(*pairs, strict=True)).sum(0), **options)


@thorough
@given(corpora)
def test_equals_nltk(pairs):
    sums = ngram_statistics(*zip(*pairs, strict=True)).sum(0)
    assert bleu(sums) == pytest.approx(by_nltk(pairs), rel=1e-12, abs=1e-12)
    smoothed = by_nltk(pairs, SmoothingFunction().method3)
    assert bleu(sums, smoothed=True) == pytest.approx(smoothed, rel=1e-12, abs=1e-12)


@some
@given(st.lists(st.tuples(texts(PIECES + CHINESE), texts(PIECES + CHINESE)), min_size=1, max_size=4))
def test_equals_nltk_on_any_text(pairs):
    assert ours(pairs) == pytest.approx(by_nltk(pairs), rel=1e-12, abs=1e-12)


@some
@given(long_corpora, st.sampled_from(["none", "exp"]))
def test_equals_sacrebleu_where_no_text_is_short(pairs, smoothing):
    answers, references = zip(*pairs, strict=True)
    spaced = [[" ".join(tokenise(text)) for text in side] for side in (answers, references)]
    expected = BLEU(tokenize="none", smooth_method=smoothing).corpus_score(spaced[0], [spaced[1]]).score / 100
    assert ours(pairs, smoothed=smoothing == "exp") == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_equals_sacrebleu_with_its_own_tokeniser_on_prose():
    answers = ["The red star (top left) circles 1,000 blue squares, twice.", 'It says "3.5 & more" - no less!']
    references = ["The red star circles 1,000 squares, twice.", 'It says "3.5 & less" - no more!']
    theirs = BLEU().corpus_score(answers, [references])  # defaults: 13a, exp, no effective order
    sums = ngram_statistics(answers, references).sum(0)
    assert bleu(sums, smoothed=True) == pytest.approx(theirs.score / 100, rel=1e-9)
    assert [*sums[text.MATCHES], *sums[text.TOTALS]] == [*theirs.counts, *theirs.totals]


def test_a_short_turn_parts_nltk_from_sacrebleu():
    # Beside a perfect turn of five tokens stands a perfect one of three. nltk counts its 4-grams as 0 of 1, sacrebleu
    # as 0 of 0. 4-grams 2 of 3: (2/3) ** (1/4); sacrebleu: 2 of 2.
    pairs = [("a b c d e", "a b c d e"), ("f g h", "f g h")]
    answers, references = zip(*pairs, strict=True)
    assert ours(pairs) == pytest.approx((2 / 3) ** 0.25, rel=1e-12)
    assert BLEU().corpus_score(answers, [references]).score == pytest.approx(100)


@thorough
@given(texts(PIECES))
def test_tokens_without_chinese_are_those_of_13a(string):
    string = tokens._CHINESE.sub("", string)
    assert tokenise(string) == Tokenizer13a()(string).split()


@some
@given(st.lists(st.sampled_from([*"a7.,- &-", "红", "，", "3.5"]), max_size=16).map("".join))
def test_tokens_are_those_of_sacrebleu_zh_where_that_knows_the_character(string):
    # Their zh, unlike their 13a, does not see the end of a text as a space.
    assert tokenise(string) == TokenizerZh()(f"x {string} x").split()[1:-1]


@some
@given(corpora)
def test_any_number_of_tokens_counts_the_same(pairs):
    with pytest.MonkeyPatch.context() as patch:
        expected = ngram_statistics(*zip(*pairs, strict=True)).tolist()
        patch.setattr(text, "_matches_by_sorting", text._matches_by_counting)
        assert ngram_statistics(*zip(*pairs, strict=True)).tolist() == expected


@some
@given(corpora, st.integers(1, 80))
def test_batches_change_nothing(pairs, characters):
    expected = [ngram_statistics([answer], [reference])[0].tolist() for answer, reference in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "_CHARACTERS", characters)
        assert ngram_statistics(*zip(*pairs, strict=True)).tolist() == expected


def test_more_tokens_than_a_key_can_name():
    many = " ".join(f"w{number}" for number in range((1 << text._TOKEN_BITS) + 5))
    length = len(many.split())
    [row] = ngram_statistics([many], [many]).tolist()
    assert row == [length, length - 1, length - 2, length - 3] * 2 + [length, length]


@settings(max_examples=100, deadline=None)
@given(st.lists(corpora, min_size=2, max_size=5), st.booleans())
def test_leading_axes_are_corpora(several, smoothed):
    sums = np.array([ngram_statistics(*zip(*pairs, strict=True)).sum(0) for pairs in several], float)
    alone = [float(bleu(row, smoothed=smoothed)) for row in sums]
    np.testing.assert_array_equal(bleu(sums[:, None], smoothed=smoothed), np.array(alone)[:, None])


def test_no_turn_at_all():
    assert ngram_statistics([], []).shape == (0, 10)
    assert bleu(np.zeros(10)) == 0


def test_as_many_references_as_answers():
    with pytest.raises(ValueError, match="zip"):
        ngram_statistics(["a", "b"], ["a"])
