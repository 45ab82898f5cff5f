"""``http://...``: a system behind an address; each message is one POST of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import Request as Post
from urllib.request import urlopen

from ivcr_bench.data.dataset import Corpus
from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import INTENTS, Intent, Request, Response
from ivcr_bench.systems.process import PREPARE_SECONDS, REQUEST_SECONDS
from ivcr_bench.systems.wire import WireError, prepare_message, read_ready, read_responses, requests_message


class HttpSystem:
    """Speaks `ivcr_bench.systems.wire` to a server.

    Args:
        url: where to POST.
        prepare_seconds, request_seconds: how long to wait for the corpus to be indexed, and for each request.
    """

    def __init__(
        self, url: str, prepare_seconds: float = PREPARE_SECONDS, request_seconds: float = REQUEST_SECONDS
    ) -> None:
        self.name = url
        self.intents: frozenset[Intent] = frozenset(INTENTS)
        self._prepare_seconds, self._request_seconds = prepare_seconds, request_seconds

    def prepare(self, corpus: Corpus) -> None:
        """Let the server index the corpus; it tells which intents it can answer.

        Raises:
            IvcrError: the server cannot be reached, or does not speak the protocol.
        """
        try:
            self.intents = read_ready(self._post(prepare_message(corpus), self._prepare_seconds)).intents
        except (WireError, TimeoutError) as error:
            raise IvcrError(f"system {self.name!r}: {error}", hint="is the server running?") from None

    def respond(self, requests: Sequence[Request]) -> list[Response]:
        """What the server answers; a connection that fails is tried once more.

        Raises:
            TimeoutError: it did not answer a batch in time. One request that it takes too long over is answered
                with status ``timeout``.
            WireError: it cannot be reached, refuses, or speaks nonsense.
        """
        message, seconds = requests_message(requests), self._request_seconds * len(requests)
        try:
            try:
                return read_responses(self._post(message, seconds))
            except WireError:
                return read_responses(self._post(message, seconds))
        except TimeoutError:
            if len(requests) > 1:
                raise
            return [Response(status="timeout")]

    def _post(self, message: bytes, seconds: float) -> bytes:
        post = Post(self.name, message, {"Content-Type": "application/json"})
        try:
            with urlopen(post, timeout=seconds) as reply:
                body: bytes = reply.read()
                return body
        except HTTPError as error:
            raise WireError(f"HTTP status {error.code}: {error.read(200).decode(errors='replace')!r}") from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise TimeoutError(f"no answer within {seconds:g} s") from None
            raise WireError(str(reason)) from None
