"""Answer text: corpus BLEU-4 (Papineni et al. 2002; paper section 5.1), as nltk's ``corpus_bleu`` computes it.

    BLEU-4 = BP * exp(1/4 * sum over n=1..4 of ln(matched n-grams / n-grams))     BP = min(1, exp(1 - r / h))

with sums over all turns before the division, r and h the tokens of references and answers. One reference a turn,
weights 1/4; `tokenise` says what a token is. Only sums are needed, so each turn is reduced once to the ten counts of
`ngram_statistics`; slices, propagation and resampling then cost an addition. Bounds 0 and 1, higher is better.

Unsmoothed, BLEU-4 is 0 where the whole corpus has no matched 4-gram. The smoothed figure takes 1/2 of one match for the
first order without any, 1/4 for the second, and so on: "exp" in sacrebleu, whose default it is, ``method3`` in nltk.
The two libraries differ only in a turn shorter than n tokens: there nltk counts one n-gram (unmatched), sacrebleu none.
We count as nltk does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice, pairwise

import numpy as np
from numpy.typing import NDArray

from ivcr_bench.scoring.tokens import Numbered, number_tokens, tokenise

__all__ = [
    "ANSWER_TOKENS",
    "COLUMNS",
    "MATCHES",
    "ORDER",
    "REFERENCE_TOKENS",
    "SIGNATURE",
    "TOTALS",
    "bleu",
    "brevity_penalty",
    "ngram_statistics",
    "tokenise",
]

SIGNATURE = "nltk,tok:13a+zh-char,case:mixed,smooth:none+exp"
"""Names every choice that changes a figure of BLEU-4 (smooth:none) or of BLEU-4 smoothed (smooth:exp)."""

ORDER = 4
MATCHES, TOTALS = slice(0, ORDER), slice(ORDER, 2 * ORDER)
ANSWER_TOKENS, REFERENCE_TOKENS = 2 * ORDER, 2 * ORDER + 1
COLUMNS = 2 * ORDER + 2

_TOKEN_BITS = 15  # so that four tokens and a side fit an int64
_CHARACTERS = 1 << 19  # of a batch: bounds memory to some 50 MB, and seldom holds more words than 15 bits can name


def ngram_statistics(answers: Sequence[str], references: Sequence[str]) -> NDArray[np.int32]:
    """What each turn adds to BLEU: four counts of matched n-grams, four of n-grams, tokens of answer and reference.

    As in nltk, a turn counts at least one n-gram of each order, even where the answer is too short to have one.

    Returns:
        int32 ``[turns, 10]``.

    >>> ngram_statistics(["a b c"], ["a b d e"]).tolist()
    [[2, 1, 0, 0, 3, 2, 1, 1, 3, 4]]
    """
    rows = np.empty((len(answers), COLUMNS), np.int32)
    for batch in _batches(answers, references):
        rows[batch] = _count(answers[batch], references[batch])
    return rows


def bleu(sums: NDArray[np.float64], *, smoothed: bool = False) -> NDArray[np.float64]:
    """BLEU-4 of corpora from their summed `ngram_statistics`: ``[..., 10]`` gives ``[...]``, 0 where nothing matched.

    Args:
        sums: ``[..., 10]``.
        smoothed: give the k-th order without a match 1 / 2^k of one match, as sacrebleu does by default ("exp") and
            nltk's ``SmoothingFunction().method3``.

    >>> float(bleu(np.array([9, 7, 5, 3, 9, 8, 7, 6, 9, 9], float)))  # (1 * 7/8 * 5/7 * 3/6) ** (1/4)
    0.7476...
    >>> without = np.array([2, 1, 0, 0, 3, 2, 1, 1, 3, 3], float)  # no 3-gram and no 4-gram matched
    >>> bool(bleu(without) < 1e-70), float(bleu(without, smoothed=True))  # (2/3 * 1/2 * (1/2)/1 * (1/4)/1) ** (1/4)
    (True, 0.4518...)
    """
    matches, totals = sums[..., MATCHES], np.maximum(sums[..., TOTALS], 1)
    unmatched = matches == 0
    least = 0.5 ** unmatched.cumsum(axis=-1) / totals if smoothed else np.finfo(float).tiny  # nltk's stand-in for 0
    mean_log = np.log(np.where(unmatched, least, matches / totals)).mean(axis=-1)
    penalty = brevity_penalty(sums[..., ANSWER_TOKENS], sums[..., REFERENCE_TOKENS])
    return np.where(unmatched[..., 0], 0.0, penalty * np.exp(mean_log))


def brevity_penalty(answer_tokens: NDArray[np.float64], reference_tokens: NDArray[np.float64]) -> NDArray[np.float64]:
    """What corpora of answers lose for being shorter than their references; any shape.

    >>> brevity_penalty(np.array([12, 5, 0]), np.array([10, 10, 10]))  # exp(1 - 10/5)
    array([1.        , 0.36787944, 0.        ])
    """
    shortage = np.maximum(reference_tokens / np.maximum(answer_tokens, 1) - 1, 0)
    return np.where(answer_tokens > 0, np.exp(-shortage), 0.0)


def _batches(answers: Sequence[str], references: Sequence[str]) -> Iterator[slice]:
    start = characters = 0
    for turn, (answer, reference) in enumerate(zip(answers, references, strict=True)):
        characters += len(answer) + len(reference) + 1
        if characters > _CHARACTERS:
            yield slice(start, turn + 1)
            start, characters = turn + 1, 0
    if characters:
        yield slice(start, len(answers))


def _count(answers: Sequence[str], references: Sequence[str]) -> NDArray[np.int64]:
    """The `ngram_statistics` of one batch."""
    texts = number_tokens(chain.from_iterable(zip(answers, references, strict=True)), gap=ORDER - 1)
    answer_tokens, reference_tokens = texts.lengths[::2, None], texts.lengths[1::2, None]
    totals = np.maximum(answer_tokens - np.arange(ORDER), 1)
    matches = _matches_by_sorting(texts) if texts.greatest < 1 << _TOKEN_BITS else _matches_by_counting(texts)
    return np.hstack([matches, totals, answer_tokens, reference_tokens])


def _matches_by_sorting(texts: Numbered) -> NDArray[np.int64]:
    """Matched n-grams ``[turns, 4]`` of a batch whose texts are answer, reference, answer, reference, ...

    Each place becomes one integer: the four tokens from there on, then the side (1: reference), from high bits to low.
    Sorted within a turn, equal 4-grams lie together, and so do equal n-grams, which are the first n tokens of those.
    """
    turns = len(texts.lengths) // 2
    keys = np.repeat(np.tile([0, 1], turns), texts.lengths + ORDER - 1)
    for place in range(ORDER):
        keys[: len(keys) - place] |= texts.tokens[place:] << _low_bits(place + 1)
    keys = keys[texts.tokens > 0]
    turn_lengths = texts.lengths[::2] + texts.lengths[1::2]
    turn_bounds = np.append(0, turn_lengths.cumsum())
    for start, end in pairwise(turn_bounds.tolist()):
        keys[start:end].sort()

    turn = np.repeat(np.arange(turns), turn_lengths)
    references_before = np.append(0, np.cumsum(keys & 1))
    change = np.empty(len(keys) + 1, np.int64)
    change[1:-1] = keys[1:] ^ keys[:-1]
    change[turn_bounds] = np.iinfo(np.int64).max
    matches = np.empty((turns, ORDER), np.int64)
    for n in range(1, ORDER + 1):
        bounds = np.flatnonzero(change >= 1 << _low_bits(n))
        in_reference = np.diff(references_before[bounds])
        matched = np.minimum(np.diff(bounds) - in_reference, in_reference)
        found = np.flatnonzero(matched)
        first = bounds[found]
        last_token = keys[first] >> _low_bits(n) & (1 << _TOKEN_BITS) - 1  # 0 where the text has ended before
        matches[:, n - 1] = np.bincount(turn[first], matched[found] * (last_token > 0), turns)
    return matches


def _low_bits(n: int) -> int:
    """The bits of a key to the right of its n-th token."""
    return (ORDER - n) * _TOKEN_BITS + 1


def _matches_by_counting(texts: Numbered) -> NDArray[np.int64]:
    """The same for a batch with any number of distinct tokens, but much slower."""
    ends = (texts.lengths + ORDER - 1).cumsum()
    pieces = [piece[: 1 - ORDER].tolist() for piece in np.split(texts.tokens, ends[:-1])]
    matches = [
        [(_ngrams(answer, n) & _ngrams(reference, n)).total() for n in range(1, ORDER + 1)]
        for answer, reference in zip(pieces[::2], pieces[1::2], strict=True)
    ]
    return np.array(matches)


def _ngrams(tokens: Sequence[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(zip(*(islice(tokens, start, None) for start in range(n)), strict=False))
