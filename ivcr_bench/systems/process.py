"""``cmd:PROGRAM``: a system that is a process, in any language, environment or CUDA version; one JSON line a batch."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event, Timer
from typing import IO, TypeVar

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import INTENTS, Intent, Request, Response
from ivcr_bench.systems.wire import WireError, prepare_message, read_ready, read_responses, requests_message

T = TypeVar("T")

PREPARE_SECONDS = 3600.0
REQUEST_SECONDS = 120.0
"""How long the process may take to index the corpus, and over each request of a batch."""


class ProcessSystem:
    """Speaks `ivcr_bench.systems.wire` to a process; one that dies or hangs is started again, once a batch.

    What the process writes to standard error is kept, and its end is quoted where the process fails.

    Args:
        command: program and arguments, split as a shell would.
        prepare_seconds, request_seconds: how long to wait.
    """

    def __init__(
        self, command: str, prepare_seconds: float = PREPARE_SECONDS, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        try:
            self._arguments = shlex.split(command)
        except ValueError as error:
            raise IvcrError(f"system 'cmd:{command}': {error}") from None
        if not self._arguments:
            raise IvcrError("system 'cmd:': found no program", hint="cmd:PROGRAM, such as 'cmd:python my_system.py'")
        self.name = f"cmd:{command}"
        self.intents: frozenset[Intent] = frozenset(INTENTS)
        self._prepare_seconds, self._request_seconds = prepare_seconds, request_seconds
        self._child: _Child | None = None

    def prepare(self, corpus: Corpus) -> None:
        """Start the process and let it index the corpus; it tells which intents it can answer.

        Raises:
            IvcrError: it cannot be started, or does not speak the protocol.
        """
        self._message = prepare_message(corpus)
        try:
            self._start()
        except (WireError, TimeoutError) as error:
            raise IvcrError(
                f"system {self.name!r}: {error}", hint="see docs/systems.md for what it has to speak"
            ) from None

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """What the process answers.

        Raises:
            TimeoutError: it did not answer a batch in time, twice. One request that it takes too long over is
                answered with status ``timeout``.
            WireError: it died or spoke nonsense, twice.
        """
        message, seconds = requests_message(requests), self._request_seconds * len(requests)
        try:
            return self._ask(message, seconds)
        except (WireError, TimeoutError):
            self._start()
        try:
            return self._ask(message, seconds)
        except TimeoutError:
            if len(requests) > 1:
                raise
            return [Response(status="timeout")]

    def _start(self) -> None:
        if self._child is not None:
            self._child.stop()
        self._child = _Child(self._arguments)
        self.intents = self._child.ask(self._message, self._prepare_seconds, read_ready).intents

    def _ask(self, message: bytes, seconds: float) -> list[Response]:
        if self._child is None:
            self._start()
        assert self._child is not None
        try:
            return self._child.ask(message, seconds, read_responses)
        except (WireError, TimeoutError):
            self._child.stop()
            self._child = None
            raise


class _Child:
    """A running process, which is killed where it takes too long: that ends whatever waits for it."""

    def __init__(self, arguments: list[str]) -> None:
        self._program = arguments[0]
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
            )
        except OSError as error:
            raise IvcrError(f"system 'cmd:{shlex.join(arguments)}' cannot be started: {error.strerror}") from None
        self.stop = weakref.finalize(self, _stop, self._process)

    def ask(self, message: bytes, seconds: float, read: Callable[[bytes], T]) -> T:
        """Send one line, read one."""
        late = Event()
        timer = Timer(seconds, self._give_up, [late])
        timer.daemon = True
        timer.start()
        try:
            reply = self._exchange(message)
        finally:
            timer.cancel()
        if late.is_set():
            raise TimeoutError(f"{self._program} did not answer within {seconds:g} s")
        if not reply.endswith(b"\n"):
            raise WireError(f"{self._program} ended{self._last_words()}")
        return read(reply)

    def _give_up(self, late: Event) -> None:
        late.set()
        self._process.kill()

    def _exchange(self, message: bytes) -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(message + b"\n")
            self._process.stdin.flush()
        except OSError:
            return b""
        return self._process.stdout.readline()

    def _last_words(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode(errors="replace").strip().splitlines()
        return f" with exit code {self._process.poll()}" + (f": {lines[-1]}" if lines else "")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
