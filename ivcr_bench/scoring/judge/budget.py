"""What a run may spend, reserved before each call is sent."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from ivcr_bench.errors import IvcrError


class BudgetReached(IvcrError):  # noqa: N818
    """The next call could exceed what the run may spend; what was answered is kept, and the run can be resumed."""

    exit_code = 3


class Budget:
    """Calls and USD that one run may spend, at most; whatever happens, it spends no more.

    A call reserves the most that it can cost. When that no longer fits, it waits for calls on their way to turn out
    cheaper than they might have, and only if none is on its way the run ends.
    """

    def __init__(self, max_usd: Decimal | None = None, max_requests: int | None = None) -> None:
        self._max_usd, self._max_requests = max_usd, max_requests
        self._requests = 0
        self._spent = self._reserved = Decimal(0)
        self._open = 0
        self._settled = asyncio.Condition()

    @property
    def spent(self) -> Decimal:
        """USD, with every call that was never answered counted at the most it can have cost."""
        return self._spent

    @property
    def left(self) -> Decimal | None:
        """USD neither spent nor reserved; ``None`` without a limit."""
        return None if self._max_usd is None else self._max_usd - self._spent - self._reserved

    async def reserve(self, usd: Decimal, requests: int = 1) -> None:
        """Wait until ``usd`` and so many ``requests`` are free, and set them aside.

        Raises:
            BudgetReached: they will not be.
        """
        async with self._settled:
            self._count(requests)
            while self._max_usd is not None and self._spent + self._reserved + usd > self._max_usd:
                if not self._open:
                    self._requests -= requests
                    raise BudgetReached(
                        f"--max-usd {self._max_usd}: {self._spent:.4f} USD are spent, and the next call could cost "
                        f"{usd:.4f}",
                        hint="resume with a higher limit: nothing that was answered is asked again",
                    )
                await self._settled.wait()
            self._reserved += usd
            self._open += 1

    async def settle(self, reserved: Decimal, usd: Decimal) -> None:
        """Replace a reservation by what the call cost."""
        async with self._settled:
            self._reserved -= reserved
            self._spent += usd
            self._open -= 1
            self._settled.notify_all()

    def adopt(self, usd: Decimal, requests: int) -> None:
        """Count calls that an earlier run had sent, and that this one has brought home; no limit undoes them."""
        self._spent += usd
        self._requests += requests

    def _count(self, requests: int) -> None:
        if self._max_requests is not None and self._requests + requests > self._max_requests:
            raise BudgetReached(
                f"--max-requests {self._max_requests}: {self._requests} requests are sent",
                hint="resume with a higher limit: nothing that was answered is asked again",
            )
        self._requests += requests
