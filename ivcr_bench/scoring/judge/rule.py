"""The rule judge: buckets by covered facts, times, attributes and denials. Free, exact, and not very wise.

It reads a reference and a candidate as concepts (`reading`), and asks in turn: does the text speak to the judge, is it
in the right language, a refusal, the question again, a denial? Then: are its times and attributes those of the
reference, and how much of what the reference adds to the question does it say? It needs no network and no model, so
that the first figure costs nothing. It is a smoke judge: docs/judge-agreement.md says how far it can be trusted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import asdict, dataclass

from ivcr_bench.schema import Language
from ivcr_bench.scoring.judge.addressing import VOCABULARY, addresses_judge
from ivcr_bench.scoring.judge.comparison import (
    Timing,
    conflicts,
    coverage,
    denies,
    foreign_coverage,
    hedges,
    omits_attribute,
    timing,
)
from ivcr_bench.scoring.judge.items import EMPTY, JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.lexicon import lexicon
from ivcr_bench.scoring.judge.normalise import PREPROCESSING
from ivcr_bench.scoring.judge.prompt import LONGEST_EVIDENCE, identity
from ivcr_bench.scoring.judge.reading import CHINESE, Reading, read

VERSION = "rule/2"
"""Changes with the code of this module, `reading` or `times`, where a verdict could come out otherwise."""


@dataclass(frozen=True)
class Thresholds:
    """What the rule judge was tuned in, on the tuning half of the labelled turns.

    Attributes:
        highly, moderately, somewhat: the coverage of the reference's facts from which on a bucket is reached.
        core: where an attribute is wrong, so much must be covered, or it is about another film.
        another: it also is with so many wrong attributes; a wrong time counts as two.
        asked: the weight of a fact that the user named already, against 1 for what the reference adds.
        same_iou, same_seconds: two times are the same from this IoU on, or with both ends so near.
        rough_iou: a time is rough from this IoU on; below that it is wrong.
        hedge: so many foreign values of one class say everything and so nothing.
        stuffed_units, stuffed_share: a longer text, less of which is in the reference, is a list and no answer.
        native_words, native_share: of so many words so large a share are function words, or it is another language.
    """

    highly: float = 0.6
    moderately: float = 0.33
    somewhat: float = 0.15
    core: float = 0.4
    another: int = 3
    asked: float = 0.15
    same_iou: float = 0.8
    same_seconds: float = 1.0
    rough_iou: float = 0.5
    hedge: int = 4
    stuffed_units: int = 80
    stuffed_share: float = 0.08
    native_words: int = 5
    native_share: float = 0.125


class RuleJudge:
    """Judges by rules; deterministic, English and Chinese. Nothing that it reads can change how it reads the next."""

    name = "rule"

    def __init__(self, thresholds: Thresholds = Thresholds()) -> None:
        self._lexicon = lexicon()
        self._thresholds = thresholds
        self.judge_id = identity(VERSION, VOCABULARY, PREPROCESSING, self._lexicon.digest, asdict(thresholds))

    def judge(self, items: Iterable[JudgeItem]) -> Iterator[tuple[JudgeItem, Verdict]]:
        """Yield each item with its verdict, in the order given."""
        for item in items:
            yield item, self._verdict(item)

    def _verdict(self, item: JudgeItem) -> Verdict:
        text = item.candidate
        if not text:
            return EMPTY
        if addresses_judge(text, (item.reference, *item.queries)):
            return _irrelevant("addresses_judge")
        if text.casefold().split() == item.reference.casefold().split():
            return Verdict(Label.HIGHLY, (item.reference[:LONGEST_EVIDENCE],))
        reference, candidate = read(item.reference, self._lexicon), read(text, self._lexicon)
        if not reference.units and not reference.times:
            return _of_courtesy(reference, candidate, item)
        queries = [read(query, self._lexicon) for query in item.queries[-1:]]
        asked = frozenset().union(*(query.unit_set for query in queries))
        covered = coverage(reference, candidate, asked, self._thresholds.asked)
        if self._is_foreign(item.language, candidate, covered):
            return self._of_foreign(item, reference, candidate)
        if _refuses(item, covered) or denies(reference, candidate) or self._says_everything(reference, candidate):
            return _irrelevant("contradiction" if denies(reference, candidate) else "off_topic")
        if queries and _echoes(queries[-1], reference, candidate):
            return _irrelevant("off_topic")
        return self._of_facts(item, reference, candidate, asked)

    def _of_facts(self, item: JudgeItem, reference: Reading, candidate: Reading, asked: Set[str]) -> Verdict:
        """The bucket by coverage, and the cap that wrong facts put on it."""
        limits = self._thresholds
        time = timing(reference, candidate, limits.same_iou, limits.same_seconds, limits.rough_iou)
        conflict = conflicts(reference, candidate)
        covered = coverage(reference, candidate, asked, limits.asked)
        faults = len(conflict) + 2 * (time is Timing.WRONG)
        if (conflict and covered < limits.core) or faults >= limits.another:
            return _irrelevant("contradiction")
        label = self._by_coverage(covered)
        if time in (Timing.SAME, Timing.ROUGH) and label in (Label.SOMEWHAT, Label.IRRELEVANT):
            label = Label.MODERATELY
        if label is Label.IRRELEVANT:
            return _irrelevant("off_topic")
        if conflict or time in (Timing.WRONG, Timing.MISSING):
            label = Label.SOMEWHAT
        elif time is Timing.ROUGH or omits_attribute(reference, candidate, asked):
            label = max(label, Label.MODERATELY, key=_ORDER.index)
        flags = ("contradiction",) if conflict or time is Timing.WRONG else ()
        return Verdict(label, _evidence(item, reference, candidate), flags)

    def _by_coverage(self, covered: float) -> Label:
        limits = self._thresholds
        for label, least in zip(_ORDER, (limits.highly, limits.moderately, limits.somewhat), strict=False):
            if covered >= least:
                return label
        return Label.IRRELEVANT

    def _is_foreign(self, language: Language, candidate: Reading, covered: float) -> bool:
        chinese = len(CHINESE.findall(candidate.text)) if not candidate.text.isascii() else 0
        if language == "zh" or chinese:
            other = sum(word[0].isalpha() and not CHINESE.match(word) for word in candidate.words)
            return chinese < other > 2 if language == "zh" else chinese > other
        limits = self._thresholds
        few = candidate.function_words < limits.native_share * len(candidate.words)
        return few and len(candidate.words) >= limits.native_words and covered < limits.moderately

    def _of_foreign(self, item: JudgeItem, reference: Reading, candidate: Reading) -> Verdict:
        """At most somewhat relevant, and that only where numbers, times or words of the lexicon are the reference's."""
        limits = self._thresholds
        time = timing(reference, candidate, limits.same_iou, limits.same_seconds, limits.rough_iou)
        if time is not Timing.SAME and foreign_coverage(reference, candidate) < limits.moderately:
            return _irrelevant("wrong_language")
        if self._says_everything(reference, candidate):
            return _irrelevant("wrong_language")
        return Verdict(Label.SOMEWHAT, _evidence(item, reference, candidate), ("wrong_language",))

    def _says_everything(self, reference: Reading, candidate: Reading) -> bool:
        limits = self._thresholds
        if hedges(reference, candidate, limits.hedge):
            return True
        said = candidate.unit_set
        return len(said) > limits.stuffed_units and len(said & reference.unit_set) < limits.stuffed_share * len(said)


_ORDER = tuple(Label)
_REFUSAL = re.compile(
    r"\bsorry\b|\bunfortunately\b|\bapologi[sz]e\b|\bas an ai\b|\blanguage model\b|\bi (?:do not|don['’]t) know\b"
    r"|\b(?:cannot|can['’]t|can not|could not|couldn['’]t|unable to|not able to) (?:\w+ )?"
    r"(?:find|watch|search|access|see|view|help|identify|locate|answer|provide|determine)\b"
    r"|抱歉|对不起|很遗憾|无法|找不到|没有?找到|未找到|人工智能|语言模型|我不知道|不清楚|提供更多"
)
_REPLIES = {
    "to_thanks": re.compile(
        r"you(?:['’]re| are) (?:very |most )?welcome|pleasure|any ?time|glad|mention it|no (?:problem|worries)|enjoy"
        r"|have fun"
        r"|不客气|不用谢|别客气|不谢|愉快|开心|随时|很高兴能?帮"
    ),
    "to_greeting": re.compile(
        r"\b(?:hello|hi|hey|welcome|good (?:morning|evening|day|afternoon|to see))\b|\bi (?:can )?find\b|\btell me\b"
        r"|\bdescribe\b|\bask me\b|\bhelp you\b|你好|您好|嗨|欢迎|告诉我|帮[你您]|我能|描述"
    ),
}
"""What a reply without facts replies to; the first that fits."""
_MOST_FACTS_OF_COURTESY = 2
_YOU_SAID = re.compile(r"(?:you(?:['’]re| are| want| asked| said| would like)|[你您](?:想|要|在|正在|是想|说))")


def _irrelevant(flag: str) -> Verdict:
    return Verdict(Label.IRRELEVANT, flags=(flag,))


def _of_courtesy(reference: Reading, candidate: Reading, item: JudgeItem) -> Verdict:
    """The verdict where the reference is a greeting or the like: the same courtesy, and no facts."""
    if (item.language == "zh") != bool(CHINESE.search(candidate.text)):
        return _irrelevant("wrong_language")
    if item.queries and candidate.text.strip(" .!?。！？") in item.queries[-1].lower():
        return _irrelevant("off_topic")
    same = _replies_to(reference) == _replies_to(candidate) is not None
    if same and len(candidate.units) <= _MOST_FACTS_OF_COURTESY and not candidate.times:
        return Verdict(Label.HIGHLY)
    return _irrelevant("off_topic")


def _replies_to(reading: Reading) -> str | None:
    return next((name for name, pattern in _REPLIES.items() if pattern.search(reading.text)), None)


def _refuses(item: JudgeItem, covered: float) -> bool:
    """Whether the candidate excuses itself instead of answering."""
    if covered >= 0.5 or not _REFUSAL.search((item.candidate or "").lower()):
        return False
    return not _REFUSAL.search(item.reference.lower())


def _echoes(query: Reading, reference: Reading, candidate: Reading) -> bool:
    """Whether the candidate only says again what was asked."""
    if candidate.times or len(candidate.words) < 3 or not candidate.unit_set <= query.unit_set:
        return False
    new = reference.unit_set - query.unit_set
    return bool(new) or set(candidate.words) <= set(query.words) or _YOU_SAID.match(candidate.text) is not None


def _evidence(item: JudgeItem, reference: Reading, candidate: Reading) -> tuple[str, ...]:
    """Up to three of the reference's words that the candidate has, too, as they stand there."""
    said = set(candidate.words)
    shared = sorted(
        (word for word in set(reference.words) & said if len(word) > 1), key=lambda word: (-len(word), word)
    )
    lowered = item.reference.lower()
    places = [(lowered.find(word), len(word)) for word in shared[:3]] if len(lowered) == len(item.reference) else []
    return tuple(item.reference[start : start + length] for start, length in places if start >= 0)
