"""The faults of the authors' evaluators, each with a code, so that each can be switched off by itself.

``official-2025`` is ``metrics/eval.py`` of the authors' repository, ``official-2024`` is ``metrics/tvg/`` with the
formatters of ``evaluate.py``. Both modes run with all their faults on; the correct figure has all off except those that
are rules of ours too (`Fault.kept`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ivcr_bench.errors import IvcrError

Protocol = Literal["official-2025", "official-2024"]
CrashPolicy = Literal["raise", "count_wrong"]


@dataclass(frozen=True)
class Fault:
    """One way in which an evaluator of the authors differs from what it should compute.

    Attributes:
        effect: what it does, and, after "off:", what is done instead once it is switched off.
        switchable: whether switching it off can change a figure; the others are stated for completeness.
        kept: whether the correct figure has it too, because this benchmark follows the same rule.
    """

    code: str
    effect: str
    switchable: bool = True
    kept: bool = False


class OfficialScorerError(IvcrError):
    """The authors' script would have crashed here.

    Attributes:
        code: the fault that makes it crash.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(
            f"{code}: {message}", hint="the authors' script crashes here; --crash-policy count_wrong scores on"
        )
        self.code = code


_RANGE_FALLBACK = Fault(
    "E10", "a moment without a range is read from unrelated numbers; off: English and Chinese ranges, else none"
)

FAULTS_2025: tuple[Fault, ...] = (
    Fault("E1", "the first sample of each task is never credited; off: it is"),
    Fault("E2", "samples are credited, test turns are counted; off: only a test turn is credited, and once"),
    Fault("E3", "two answers without a readable index are equal, a hit; off: an unreadable answer is wrong"),
    Fault("E4", "predictions are joined to samples by position, a short file crashes; off: by position and text"),
    Fault("E5", "gold is read from the answer's text, crashes if unreadable; off: gt_se and video_id"),
    Fault("E6", "IoU is overlap over hull, two equal instants crash; off: IoU as docs/metrics.md defines it"),
    Fault("E7", "IoU >= threshold; off: > as the paper says", kept=True),
    Fault("E8", "the task is the number of video markers in the prompt; off: gt_se"),
    Fault("E9", "only 'video N' in English is an index, 0 included; off: English and Chinese forms, 1 to 10"),
    _RANGE_FALLBACK,
    Fault("E11", "per turn: user_q must equal the query, which no published result does; off: tags are cut first"),
    Fault("E12", "per turn: the first prediction with the query's text serves all such turns; off: each its own"),
    Fault("E13", "per turn: turn = (message + 2) / 2, a query without answer crashes; off: queries are counted"),
    Fault("E14", "per turn: no error travels; off: after a failed video turn all later turns score 0", kept=True),
    Fault("E15", "per turn: turns 1 to 7 only, an empty cell or a missing gt_se crashes; off: all turns, '-'"),
    Fault("E16", "no check of the intent, no R@10, no BLEU-4, no judge: the files do not hold them", switchable=False),
)

FAULTS_2024: tuple[Fault, ...] = (
    Fault("G1", "moment figures are divided by 1,153 whatever is scored; off: by the moment queries of --gold"),
    Fault("G2", "another number of predictions than of gold moments crashes; off: a missing one is wrong"),
    Fault("G3", "a moment counts only if the first sentence states its intent", kept=True),
    Fault("G4", "an unreadable moment is skipped: no credit, and still counted", switchable=False),
    Fault("G5", "a gold moment without a prediction crashes; off: it is wrong"),
    Fault("G6", "overlap over hull, two equal instants crash; off: IoU as docs/metrics.md defines it"),
    _RANGE_FALLBACK,
    Fault("V1", "a gold query is credited for every prediction with its text; off: each for its own"),
    Fault("V2", "the first number of the second sentence is the index; off: English and Chinese forms, 1 to 10"),
    Fault("V3", "candidates are those of the result file; off: those of the gold file"),
    Fault("V4", "a video counts only if the first sentence states its intent", kept=True),
    Fault("V5", "R@1 is over whichever gold file was given, with or without misses of stage 1", switchable=False),
    Fault("V6", "an output with fewer than two periods is dropped (still counted); off: it is read whole"),
    Fault("V7", "a decimal point ends a sentence; off: only a period that no digit follows does"),
    Fault("V8", "the other formatter crashes on such outputs; the published main does not call it", switchable=False),
    Fault("V9", "intent accuracy is over the outputs that could be read; off: over the gold file"),
    Fault("V10", "the example files beside the script are of another dataset, Charades-STA", switchable=False),
    Fault("K1", "per turn: the last prediction with the query's text serves all such turns; off: each its own"),
    Fault("K2", "per turn: a moment without a prediction is given the gold range, IoU 1; off: it is wrong"),
    Fault("K3", "per turn: a video query without a prediction crashes; off: it is wrong"),
    Fault("K4", "per turn: no index means the last candidate, one beyond the list crashes; off: both are wrong"),
    Fault("K5", "per turn: a moment answered with no or several ranges becomes [0, 0]; off: none, or the first"),
    Fault("K6", "per turn: after a failed video turn all later turns score 0; off: errors do not travel", kept=True),
    Fault("K7", "per turn: the intent is not checked; off: an answer that states another intent is wrong"),
    Fault("K8", "per turn: six turns only, no task or no moment crashes, no video is 0; off: all turns, '-'"),
)

FAULTS: dict[Protocol, tuple[Fault, ...]] = {"official-2025": FAULTS_2025, "official-2024": FAULTS_2024}


def all_faults(protocol: Protocol) -> frozenset[str]:
    """The codes that are on in ``protocol``: all of them."""
    return frozenset(fault.code for fault in FAULTS[protocol])


def kept_faults(protocol: Protocol) -> frozenset[str]:
    """The codes that stay on in the correct figure."""
    return frozenset(fault.code for fault in FAULTS[protocol] if fault.kept)
