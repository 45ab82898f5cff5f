"""What judging would cost, before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal

from ivcr_bench.scoring.judge.costs import plain
from ivcr_bench.scoring.judge.items import JudgeItem
from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
from ivcr_bench.scoring.judge.prompt import build
from ivcr_bench.scoring.judge.store import Usage, key_of

ENCODING = "o200k_base"
"""The tokenizer of gpt-4o and gpt-4.1, the models that have prices here."""

OUTPUT_TOKENS = 80
"""Of a verdict, about: three short quotations and a label."""

TOKENS_A_MESSAGE = 4
"""What a chat adds to the text of each message."""

BYTES_A_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is to be asked, and what that costs.

    Attributes:
        stored: items whose verdict is in the store, or whose content was met before: they cost nothing.
        requests: calls, if none has to be repeated.
        usage: tokens: of the prompts as counted, of the answers `OUTPUT_TOKENS` each.
        usd, batch_usd: at once, and in batches; ``None`` if the model has no price.
        counted_by: how tokens were counted.
        prices: the version of the prices.
    """

    stored: int
    requests: int
    usage: Usage
    usd: Decimal | None
    batch_usd: Decimal | None
    counted_by: str
    prices: str

    def lines(self) -> list[str]:
        """The estimate, as it is shown."""
        shown = [
            f"requests      {self.requests:,} ({self.stored:,} more are answered by the store)",
            f"tokens        {self.usage.input_tokens:,} in (counted by {self.counted_by}), "
            f"about {self.usage.output_tokens:,} out",
        ]
        if self.usd is None or self.batch_usd is None:
            return [*shown, f"cost          unknown: the prices of {self.prices} do not list this model"]
        cents = Decimal("0.01")
        return [
            *shown,
            f"cost          about {plain(self.usd.quantize(cents))} USD, {plain(self.batch_usd.quantize(cents))} in "
            f"batches, at the prices of {self.prices}; calls that fail and are repeated are not in it",
        ]


def estimate(judge: OpenAIJudge, items: Iterable[JudgeItem]) -> Estimate:
    """What ``judge`` would ask about ``items``; sends nothing."""
    count, counted_by = token_counter()
    stored = requests = tokens = 0
    met: set[bytes] = set()
    for item in items:
        key = key_of(judge.judge_id, item)
        if bytes.fromhex(key) in met or judge.stored(key) is not None:
            stored += 1
            continue
        met.add(bytes.fromhex(key))
        messages = build(item, judge.judge_id)
        requests += 1
        tokens += sum(count(message["content"]) + TOKENS_A_MESSAGE for message in messages)
    usage = Usage(tokens, OUTPUT_TOKENS * requests)
    price = judge.price
    return Estimate(
        stored,
        requests,
        usage,
        price.price.usd(usage) if price.known else None,
        price.price.usd(usage, batch=True) if price.known else None,
        counted_by,
        price.version,
    )


def token_counter() -> tuple[Callable[[str], int], str]:
    """A function that counts the tokens of a text, and its name; a rough one if no tokenizer is installed."""
    try:
        from bpe_openai import get_encoding
    except ModuleNotFoundError:
        return (lambda text: -(-len(text.encode()) // BYTES_A_TOKEN)), f"{BYTES_A_TOKEN} bytes a token"
    encoding = get_encoding(ENCODING)
    return (lambda text: len(encoding.encode_ordinary(text))), ENCODING
