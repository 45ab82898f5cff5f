"""Answer text: corpus BLEU-4 (Papineni et al. 2002; paper section 5.1), as nltk's ``corpus_bleu`` computes it.

    BLEU-4 = BP * exp(1/4 * sum over n=1..4 of ln(matched n-grams / n-grams))     BP = min(1, exp(1 - r / h))

with sums over all turns before the division, r and h the tokens of references and answers. One reference a turn,
weights 1/4. Only sums are needed, so each turn is reduced once to the ten counts of
`ngram_statistics`; slices, propagation and resampling then cost an addition.

Tokens: every Chinese character is one token, everything else is tokenised as mteval-v13a (sacrebleu's default) does,
case kept. So English is counted by words, Chinese by characters, and mixed text works in both languages.
Bounds 0 and 1, higher is better.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

SIGNATURE = "nltk,tok:13a+zh-char,case:mixed,smooth:none"
"""Names every choice that changes a BLEU figure."""

ORDER = 4
MATCHES, TOTALS = slice(0, ORDER), slice(ORDER, 2 * ORDER)
ANSWER_TOKENS, REFERENCE_TOKENS = 2 * ORDER, 2 * ORDER + 1
COLUMNS = 2 * ORDER + 2

_CHINESE = re.compile("([⺀-〿㐀-䶿一-鿿豈-﫿！-｠\U00020000-\U000323af])")
_ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))
_MTEVAL_13A = (
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def tokenise(text: str) -> list[str]:
    """The tokens that BLEU counts.

    >>> tokenise("It's at 12.5 s, look!")
    ["It's", 'at', '12.5', 's', ',', 'look', '!']
    >>> tokenise("在视频3里。")
    ['在', '视', '频', '3', '里', '。']
    """
    text = text.replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES:
        text = text.replace(entity, character)
    text = " " + _CHINESE.sub(r" \1 ", text) + " "
    for pattern, replacement in _MTEVAL_13A:
        text = pattern.sub(replacement, text)
    return text.split()


def ngram_statistics(answers: Sequence[str], references: Sequence[str]) -> NDArray[np.int32]:
    """What each turn adds to BLEU: four counts of matched n-grams, four of n-grams, tokens of answer and reference.

    As in nltk, a turn counts at least one n-gram of each order, even where the answer is too short to have one.

    Returns:
        int32 ``[turns, 10]``.

    >>> ngram_statistics(["a b c"], ["a b d e"]).tolist()
    [[2, 1, 0, 0, 3, 2, 1, 1, 3, 4]]
    """
    rows = [_turn(tokenise(answer), tokenise(reference)) for answer, reference in zip(answers, references, strict=True)]
    return np.array(rows, np.int32).reshape(-1, COLUMNS)


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


def _turn(answer: Sequence[str], reference: Sequence[str]) -> list[int]:
    matches, totals = [], []
    for n in range(1, ORDER + 1):
        found = Counter(_ngrams(answer, n))
        matches.append((found & Counter(_ngrams(reference, n))).total() if found else 0)
        totals.append(max(1, len(answer) - n + 1))
    return [*matches, *totals, len(answer), len(reference)]


def _ngrams(tokens: Sequence[str], n: int) -> zip[tuple[str, ...]]:
    return zip(*(islice(tokens, start, None) for start in range(n)), strict=False)
