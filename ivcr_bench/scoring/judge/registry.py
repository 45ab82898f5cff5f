"""Judges by name. Whatever a judge stands on is imported only when that judge is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from ivcr_bench.cache import cache_dir
from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.scoring.judge.protocol import Judge
from ivcr_bench.suggest import nearest

if TYPE_CHECKING:
    from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
    from ivcr_bench.scoring.judge.store import VerdictStore

RULE = "rule"
"""The judge that is asked if nobody says otherwise: it needs no key and no model."""

KINDS = {"rule": "", "openai": "MODEL", "local": "PATH", "replay": "[NAME or ID]"}
"""Kind of judge -> what its name goes on with."""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a judge that costs something is asked.

    Attributes:
        store: folder of the verdicts; by default in the user's cache.
        base_url: of the provider; by default as the environment says.
        max_usd, max_requests: what may be spent, at most.
        allow_unpriced: ask models whose price is not known.
        concurrency, requests_per_minute, tokens_per_minute: what the provider allows.
        batch: ask in batches, for half the price and within a day.
        sentinel: check for drift first.
    """

    store: Path | None = None
    base_url: str | None = None
    max_usd: Decimal | None = None
    max_requests: int | None = None
    allow_unpriced: bool = False
    concurrency: int = 64
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    batch: bool = False
    sentinel: bool = True

    @property
    def folder(self) -> Path:
        """Of the verdicts."""
        return self.store or cache_dir("verdicts")


@contextmanager
def judge_named(names: str | Sequence[str], asking: Asking = Asking()) -> Iterator[Judge]:
    """The judge of this name, or the panel of these; what was judged is safe on disk when it is let go.

    Raises:
        IvcrError: there is no such judge, or it cannot be asked.
    """
    if names == RULE:
        from ivcr_bench.scoring.judge.rule import RuleJudge

        yield RuleJudge()
        return
    from ivcr_bench.scoring.judge.store import VerdictStore

    with VerdictStore(asking.folder) as store:
        if isinstance(names, str):
            yield _judge(names, asking, store)
        else:
            from ivcr_bench.scoring.judge.panel import PanelJudge

            yield PanelJudge([_judge(name, asking, store) for name in names])


def is_free(names: str | Sequence[str]) -> bool:
    """Whether asking costs nothing, so that answers need not be checked before they are judged."""
    listed = [names] if isinstance(names, str) else names
    return all(name.split(":")[0] in ("rule", "replay") for name in listed)


def _judge(name: str, asking: Asking, store: VerdictStore) -> Judge:
    kind, _, what = name.partition(":")
    if kind == "rule" and not what:
        from ivcr_bench.scoring.judge.rule import RuleJudge

        return RuleJudge()
    if kind == "replay":
        from ivcr_bench.scoring.judge.replay import ReplayJudge

        return ReplayJudge(store, what)
    if kind not in ("openai", "local") or not what:
        raise _unknown(name)
    from ivcr_bench.scoring.judge.replay import sign

    store.claim()
    judge = _language_model(what, asking, store) if kind == "openai" else _local(what, store)
    sign(store.folder, judge)
    return judge


def _local(folder: str, store: VerdictStore) -> Judge:
    from ivcr_bench.scoring.judge.local import LocalJudge

    return LocalJudge(folder, store)


def _language_model(model: str, asking: Asking, store: VerdictStore) -> Judge:
    from ivcr_bench.scoring.judge.sentinel import WatchedJudge

    online = openai_judge(model, asking, store)
    judge: Judge = online
    if asking.batch:
        from ivcr_bench.scoring.judge.batch import BatchJudge

        judge = BatchJudge(online)
    return WatchedJudge(judge, online) if asking.sentinel else judge


def openai_judge(model: str, asking: Asking, store: VerdictStore, *, key_needed: bool = True) -> OpenAIJudge:
    """The judge ``openai:MODEL``.

    Args:
        key_needed: raise an error if there is no key; without one, nothing can be asked.

    Raises:
        IvcrError: the model is an alias or has no price, there is no key, or openai is not installed.
    """
    try:
        from ivcr_bench.scoring.judge.limits import Limits
        from ivcr_bench.scoring.judge.openai_client import Settings
        from ivcr_bench.scoring.judge.openai_judge import OpenAIJudge
    except ModuleNotFoundError as error:
        raise IvcrError(f"judge openai:{model}: needs {error.name}", hint="pip install 'ivcr-bench[judge]'") from None
    return OpenAIJudge(
        Settings.of(model, asking.base_url, key_needed=key_needed),
        store,
        limits=Limits(asking.concurrency, asking.requests_per_minute, asking.tokens_per_minute),
        max_usd=asking.max_usd,
        max_requests=asking.max_requests,
        allow_unpriced=asking.allow_unpriced,
    )


def _unknown(name: str) -> IvcrError:
    near = nearest(name.split(":")[0], KINDS)
    expected = ", ".join(f"{kind}:{what}" if what else kind for kind, what in KINDS.items())
    return IvcrError(
        f"--judge: found {printable(name)!r}, expected one of {expected}",
        hint=f"did you mean {near!r}?" if near else None,
    )
