"""One call of a provider that speaks the OpenAI protocol: a request, and what came back or why nothing did."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Mapping
from itertools import cycle
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from ivcr_bench.errors import IvcrError, printable
from ivcr_bench.scoring.judge.items import JudgeItem, Verdict
from ivcr_bench.scoring.judge.prompt import MAX_TOKENS, RESPONSE_FORMAT, SchemaError, build, read_verdict
from ivcr_bench.scoring.judge.retries import CallFailure, Outcome, retry_after
from ivcr_bench.scoring.judge.store import Usage

try:
    import httpx2
    import openai
except ModuleNotFoundError:
    raise IvcrError("the package 'openai' is missing", hint="pip install 'ivcr-bench[judge]'") from None

T = TypeVar("T")

DEFAULT_BASE_URL = "https://api.openai.com/v1"
CALL_SECONDS = 60.0
SEED = 0
PARAMS: Mapping[str, float | int] = {"temperature": 0, "top_p": 1, "seed": SEED, "max_tokens": MAX_TOKENS}

CONNECTIONS_A_POOL = 4

LONGEST_REASON = 200
"""Of what a provider says about a failure, in characters."""

_DATED = re.compile(
    r"(?<!\d)(20\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])"  # 2024-08-06
    r"|(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"  # 0613
    r"|2\d(0[1-9]|1[0-2]))(?!\d)"  # 2507
    r"|@(sha256:)?[0-9a-f]{7,64}$"  # a revision
)


class Settings(msgspec.Struct, frozen=True):
    """Where and whom to ask.

    Attributes:
        model: a dated name, or one that ends in ``@`` and a revision.
        api_key: a secret; no text that leaves this module holds it.
    """

    model: str
    api_key: str
    base_url: str = DEFAULT_BASE_URL
    seconds: float = CALL_SECONDS

    def __repr__(self) -> str:
        return f"Settings(model={self.model!r}, base_url={self.provider!r})"

    @property
    def provider(self) -> str:
        """``openai``, or the host that speaks its protocol; part of a judge's identity."""
        return "openai" if self.base_url == DEFAULT_BASE_URL else urlsplit(self.base_url).hostname or self.base_url

    @classmethod
    def of(cls, model: str, base_url: str | None = None, *, key_needed: bool = True) -> Settings:
        """As the environment says: ``OPENAI_API_KEY``, and ``OPENAI_BASE_URL`` where none is given.

        Args:
            key_needed: without a key nothing can be asked, but counted.

        Raises:
            IvcrError: there is no key, or ``model`` is an alias.
        """
        require_dated(model)
        key = os.environ.get("OPENAI_API_KEY", "").strip()
        if not key and key_needed:
            raise IvcrError(
                "OPENAI_API_KEY is not set, expected the key of the provider",
                hint="a server of your own may take any word as its key; the judge 'rule' needs none",
            )
        return cls(model, key, (base_url or os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/"))


def require_dated(model: str) -> None:
    """Refuse names that stand for another model tomorrow.

    Raises:
        IvcrError: ``model`` has neither a date nor a revision.

    >>> require_dated("gpt-4o-2024-08-06"), require_dated("gpt-4-0613"), require_dated("org/Model@a09a35458c702b33")
    (None, None, None)
    """
    if not _DATED.search(model):
        raise IvcrError(
            f"model {printable(model)!r}: is an alias, which stands for another model tomorrow",
            hint="name it with its date, as gpt-4o-2024-08-06, or a revision, as org/Model@a09a354",
        )


class Message(msgspec.Struct, frozen=True):
    """What the model said."""

    content: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """One of the answers; we ask for one."""

    message: Message
    finish_reason: str | None = None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    prompt_tokens_details: _Details | None = None


class Completion(msgspec.Struct, frozen=True):
    """An answer of a provider, as far as it matters here."""

    model: str
    choices: Annotated[tuple[Choice, ...], msgspec.Meta(min_length=1)]
    usage: _Usage | None = None
    system_fingerprint: str | None = None

    @property
    def content(self) -> str:
        """What the model said; empty if nothing."""
        return self.choices[0].message.content or ""

    @property
    def tokens(self) -> Usage | None:
        """What is billed; ``None`` if the provider does not say."""
        if self.usage is None:
            return None
        details = self.usage.prompt_tokens_details or _Details()
        return Usage(self.usage.prompt_tokens, self.usage.completion_tokens, details.cached_tokens or 0)


def request_body(item: JudgeItem, judge_id: str, model: str, seed: int = SEED) -> dict[str, Any]:
    """The body of the chat completion that asks for a verdict on ``item``."""
    messages = build(item, judge_id)
    return {"model": model, "messages": messages, **PARAMS, "seed": seed, "response_format": RESPONSE_FORMAT}


def read_completion(body: bytes) -> Completion:
    """The answer in the body of a reply.

    Raises:
        CallFailure: it holds none.
    """
    try:
        return _COMPLETION.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CallFailure(Outcome.NO_VERDICT, f"the reply is no chat completion: {error}") from None


def verdict_in(completion: Completion, item: JudgeItem, model: str) -> Verdict:
    """The verdict that an answer states.

    Raises:
        CallFailure: it is by another model, a refusal, cut short, or no verdict.
    """
    if completion.model != model:
        reason = f"model {excerpt(completion.model)!r} answered, expected {model!r}"
        raise CallFailure(Outcome.WRONG_MODEL, reason)
    choice = completion.choices[0]
    if choice.message.refusal or choice.finish_reason == "content_filter":
        raise CallFailure(Outcome.REFUSED, f"the model refused: {excerpt(choice.message.refusal or 'filtered')}")
    if choice.finish_reason == "length":
        raise CallFailure(Outcome.NO_VERDICT, f"the answer was cut off at {MAX_TOKENS} tokens")
    try:
        return read_verdict(completion.content, item)
    except SchemaError as error:
        raise CallFailure(Outcome.NO_VERDICT, excerpt(str(error))) from None


def excerpt(text: str) -> str:
    """The start of what a stranger said, safe to show."""
    return printable(text, LONGEST_REASON)


class ChatClient:
    """Asks a provider once a call: retries, waits and limits are for `OpenAIJudge`, so that none goes uncounted."""

    def __init__(self, settings: Settings, concurrency: int) -> None:
        self._settings = settings
        self.openai = openai.AsyncOpenAI(
            api_key=settings.api_key,
            base_url=settings.base_url,
            max_retries=0,
            timeout=settings.seconds,
            http_client=httpx2.AsyncClient(transport=_Pools(concurrency), timeout=settings.seconds),
        )

    async def ask(self, body: Mapping[str, Any]) -> Completion:
        """Send ``body`` and wait for the answer.

        Raises:
            CallFailure: none came.
            IvcrError: none will ever come: the key is not accepted, the model unknown, the account empty.
        """
        # not ``chat.completions.create``: its models of requests and answers take longer than all else here
        reply = await self.reply_to(self.openai.post("/chat/completions", body=body, cast_to=httpx2.Response))
        return read_completion(self.keyless(reply.content))

    async def reply_to(self, call: Awaitable[T], seconds: float | None = None) -> T:
        """The reply to any call of `openai`, for which it may take so long; raises as `ask`."""
        seconds = seconds or self._settings.seconds
        try:
            async with asyncio.timeout(seconds):
                return await call
        except (TimeoutError, openai.APITimeoutError):
            failure: CallFailure | IvcrError = CallFailure(Outcome.TIMEOUT, f"no answer within {seconds:g} s")
        except openai.APIStatusError as error:
            failure = self._refused(error)
        except openai.OpenAIError as error:
            reason = self.without_key(str(error.__cause__ or error))
            failure = CallFailure(Outcome.CONNECTION, f"the connection failed: {reason}")
        raise failure  # here, and not above, so that no error of theirs, which may hold the key, hangs on ours

    def keyless(self, body: bytes) -> bytes:
        """``body`` without the key, should the provider have sent it back."""
        return body.replace(self._settings.api_key.encode(), b"[key]")

    async def close(self) -> None:
        """Let go of the connections."""
        await self.openai.close()

    def without_key(self, text: str) -> str:
        """The start of what the provider said, without the key, should it hold it."""
        return excerpt(text.replace(self._settings.api_key, "[key]"))

    def _refused(self, error: openai.APIStatusError) -> CallFailure | IvcrError:
        status = error.status_code
        reason = self.without_key(f"status {status}: {error.message}")
        if status in (401, 403, 404) or error.code == "insufficient_quota":
            return IvcrError(
                f"{self._settings.provider}, model {self._settings.model!r}: {reason}", hint=_HINTS[status]
            )
        if status == 429:
            return CallFailure(Outcome.THROTTLED, reason, retry_after(error.response.headers))
        if status in (408, 409) or status >= 500:
            return CallFailure(Outcome.SERVER_ERROR, reason, retry_after(error.response.headers))
        if error.code in ("content_filter", "content_policy_violation"):
            return CallFailure(Outcome.REFUSED, reason)
        return CallFailure(Outcome.REJECTED, reason)


class _Pools(httpx2.AsyncBaseTransport):
    """Spreads calls over small pools of connections: a pool looks at all of its connections at each call."""

    def __init__(self, connections: int) -> None:
        pools = -(-connections // CONNECTIONS_A_POOL)
        self._pools = [httpx2.AsyncHTTPTransport() for _ in range(pools)]
        self._turns = cycle(self._pools)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await next(self._turns).handle_async_request(request)

    async def aclose(self) -> None:
        for pool in self._pools:
            await pool.aclose()


_HINTS = {
    401: "is OPENAI_API_KEY the key of this provider?",
    403: "may this key use this model?",
    404: "does the provider have this model, and does --base-url end in /v1?",
    429: "the account is empty; resume once it is not",
}

_COMPLETION = msgspec.json.Decoder(Completion)
