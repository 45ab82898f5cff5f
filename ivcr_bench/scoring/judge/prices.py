"""What a call costs: the provider's list prices, dated, in exact decimals."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib import resources

import msgspec

from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.scoring.judge.store import Usage
from ivcr_bench.suggest import nearest

MILLION = Decimal(1_000_000)


class Price(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """USD for a million tokens. A batch's cached tokens are counted at the full batch price."""

    input: Decimal
    cached_input: Decimal
    output: Decimal
    batch_input: Decimal
    batch_output: Decimal

    def usd(self, usage: Usage, *, batch: bool = False) -> Decimal:
        """What ``usage`` costs, exactly.

        >>> price = Price(*map(Decimal, ("2.50", "1.25", "10.00", "1.25", "5.00")))
        >>> price.usd(Usage(input_tokens=1000, cached_tokens=400, output_tokens=80))
        Decimal('0.0028')
        """
        if batch:
            total = usage.input_tokens * self.batch_input + usage.output_tokens * self.batch_output
        else:
            fresh = usage.input_tokens - usage.cached_tokens
            total = fresh * self.input + usage.cached_tokens * self.cached_input + usage.output_tokens * self.output
        return total / MILLION


FREE = Price(*[Decimal(0)] * 5)
"""Stands in for the price of a model that has none."""


class PriceTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Prices of one day.

    Attributes:
        version: the day.
        source: where the numbers were read.
    """

    version: str
    source: str
    unit: str
    models: dict[str, Price]


@dataclass(frozen=True, slots=True)
class ModelPrice:
    """The price of one model, and where it comes from; ``price`` is `FREE` and ``known`` false without one."""

    price: Price
    known: bool
    version: str


@cache
def price_table() -> PriceTable:
    """The shipped prices."""
    data = resources.files(__package__).joinpath("prices.json").read_bytes()
    return msgspec.json.decode(data, type=PriceTable)


def price_of(model: str, *, allow_unpriced: bool = False) -> ModelPrice:
    """The price of ``model``.

    Raises:
        IvcrError: it has none, and ``allow_unpriced`` is not set.
    """
    table = price_table()
    price = table.models.get(model)
    if price is not None:
        return ModelPrice(price, True, table.version)
    if allow_unpriced:
        return ModelPrice(FREE, False, table.version)
    near = nearest(model, table.models)
    meant = "" if near is None else f"did you mean {near!r}? "
    raise IvcrError(
        f"model {printable(model)!r}: has no price in the table of {table.version}, so its cost can be neither told "
        "nor limited",
        hint=f"{meant}--allow-unpriced runs it without a limit in USD",
    )
