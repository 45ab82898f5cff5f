"""Layers two to four against attacks: what a language model is asked, and what of its answer counts as a verdict.

Instructions stand in the system message; data stand in one JSON object in the user message, whose field names carry a
code that depends on the texts themselves, so that no text can contain its own; a reminder follows the data. A verdict
counts only if it fits the schema and quotes the reference.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Literal

import msgspec

from ivcr_bench.scoring.judge.items import FLAGS, LABELS, QUERIES, JudgeItem, Label, Verdict
from ivcr_bench.scoring.judge.normalise import PREPROCESSING, normalise
from ivcr_bench.scoring.judge.rubric import RUBRIC, RUBRICS

TEMPLATE = "template/1"
"""Changes with the arrangement of the user message or with what `read_verdict` accepts."""

MAX_TOKENS = 300
"""How long a verdict may be."""

MOST_EVIDENCE, LONGEST_EVIDENCE, SHORTEST_EVIDENCE = 3, 120, 2

SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {
        "evidence": {"type": "array", "items": {"type": "string"}},
        "flags": {"type": "array", "items": {"type": "string", "enum": list(FLAGS)}},
        "label": {"type": "string", "enum": [label.value for label in LABELS]},
    },
    "required": ["evidence", "flags", "label"],
    "additionalProperties": False,
}
"""Evidence before verdict. A judge never emits a number."""

RESPONSE_FORMAT: dict[str, object] = {
    "type": "json_schema",
    "json_schema": {"name": "verdict", "strict": True, "schema": SCHEMA},
}
"""`SCHEMA` as the ``response_format`` of a chat completion."""

Message = dict[Literal["role", "content"], str]


class SchemaError(ValueError):
    """An answer of a model that is no verdict: the judge's fault, to be asked again."""


def judge_id(provider: str, model: str, params: Mapping[str, object]) -> str:
    """The identity of a judge that is asked with `build`: 12 hex digits of everything that could change a verdict.

    Args:
        provider: what serves the model, such as ``openai`` or a base URL.
        model: its dated name or the hash of its weights.
        params: temperature, seed and the like; anything that JSON can say.
    """
    texts = [(language, rubric.system_text(), rubric.reminder) for language, rubric in RUBRICS.items()]
    return identity(provider, model, params, texts, SCHEMA, MAX_TOKENS, RUBRIC, TEMPLATE, PREPROCESSING)


def identity(*parts: object) -> str:
    """12 hex digits that stand for ``parts``, which JSON can say."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]


def build(item: JudgeItem, judge_id: str) -> list[Message]:
    """The messages that ask for a verdict on ``item``: the same bytes for the same texts."""
    rubric = RUBRICS[item.language]
    code = nonce(judge_id, item)
    data = {
        f"language_{code}": item.language,
        f"user_{code}": [normalise(query).text for query in item.queries[-QUERIES:]],
        f"reference_{code}": normalise(item.reference).text,
        f"candidate_{code}": normalise(item.candidate or "").text,
    }
    reminder = rubric.reminder.format(candidate=f"candidate_{code}", reference=f"reference_{code}")
    return [
        {"role": "system", "content": rubric.system_text()},
        {"role": "user", "content": f"{json.dumps(data, ensure_ascii=False)}\n\n{reminder}"},
    ]


def nonce(judge_id: str, item: JudgeItem) -> str:
    """16 hex digits that a candidate cannot hold, since they change with it; the same for the same texts."""
    texts = [judge_id, normalise(item.reference).text, normalise(item.candidate or "").text]
    return hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]


def read_verdict(raw: str, item: JudgeItem) -> Verdict:
    """The verdict that ``raw``, the whole answer of a model, states.

    A candidate that addresses the judge, or is empty, is irrelevant whatever the label says. A reply in the wrong
    language keeps its label here; `ivcr_bench.scoring.judge.accounting` caps it.

    Raises:
        SchemaError: ``raw`` is no JSON of `SCHEMA`, quotes what the reference does not hold, or quotes nothing for a
            label above irrelevant.
    """
    try:
        found = _DECODER.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SchemaError(f"no verdict: {error}") from None
    fooled = {"addresses_judge", "empty"} & set(found.flags)
    label = Label.IRRELEVANT if fooled else found.label
    _check_evidence(found.evidence, label, item)
    return Verdict(label, found.evidence, tuple(flag for flag in FLAGS if flag in found.flags))


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `SCHEMA` allows."""

    evidence: tuple[str, ...]
    flags: tuple[Literal["addresses_judge", "empty", "wrong_language", "contradiction", "off_topic"], ...]
    label: Label


_DECODER = msgspec.json.Decoder(_Answer)


def _check_evidence(evidence: tuple[str, ...], label: Label, item: JudgeItem) -> None:
    if len(evidence) > MOST_EVIDENCE:
        raise SchemaError(f"evidence has {len(evidence)} quotations, expected at most {MOST_EVIDENCE}")
    reference = _comparable(item.reference)
    for quotation in evidence:
        if len(quotation) > LONGEST_EVIDENCE:
            raise SchemaError(f"evidence of {len(quotation)} characters, expected at most {LONGEST_EVIDENCE}")
        quoted = _comparable(quotation)
        if quoted not in reference or len(quoted) < min(SHORTEST_EVIDENCE, len(reference)):
            raise SchemaError("evidence is not from the reference")
    if not evidence and label is not Label.IRRELEVANT:
        raise SchemaError(f"no evidence for {label.value}")


def _comparable(text: str) -> str:
    """``text`` but for white space and case."""
    return " ".join(normalise(text).text.casefold().split())
