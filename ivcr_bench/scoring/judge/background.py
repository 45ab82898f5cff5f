"""Coroutines run beside a program that knows nothing of them, so that it may be any program, a notebook included."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from functools import cache
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@cache
def background_loop() -> asyncio.AbstractEventLoop:
    """The process's event loop, running in a thread of its own until the process ends."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="judge", daemon=True).start()
    return loop


class Calls(Generic[T]):
    """Coroutines under way, and the results of those that have ended, in the order in which they ended.

    Leaving the context cancels those under way and waits for their end.
    """

    def __init__(self) -> None:
        self._under_way = 0
        self._ended: SimpleQueue[Future[T]] = SimpleQueue()
        self._tasks: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Calls[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        wait_for(self._cancel())

    def __len__(self) -> int:
        return self._under_way

    def start(self, coroutine: Coroutine[Any, Any, T]) -> None:
        """Let ``coroutine`` run."""
        future = asyncio.run_coroutine_threadsafe(self._tracked(coroutine), background_loop())
        self._under_way += 1
        future.add_done_callback(self._ended.put)

    def ended(self, *, leave: int) -> Iterator[T]:
        """Yield the results that are there; wait for more while more than ``leave`` coroutines are under way.

        Raises:
            Exception: what a coroutine raised.
        """
        while self._under_way and (self._under_way > leave or not self._ended.empty()):
            future = self._ended.get()
            self._under_way -= 1
            yield future.result()

    async def _tracked(self, coroutine: Coroutine[Any, Any, T]) -> T:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await coroutine
        finally:
            self._tasks.discard(task)

    async def _cancel(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def wait_for(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of ``coroutine``, run in the background."""
    future = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
    try:
        return future.result()
    except BaseException:  # Ctrl-C, too
        future.cancel()
        raise
