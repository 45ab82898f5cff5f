"""What the three methods have in common: how each is built, asked, read and fed with its authors' weights.

Each package exports one `Method` as ``METHOD``. Its model has two parts: a frame encoder, which can run ahead of
time and be cached (at mini scale it is InterLLaVA's first phase), and what is in `MomentModel`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol

from torch import Tensor
from transformers import LlamaForCausalLM

from baselines.mllm.pieces import Piece
from baselines.mllm.times import Found
from ivcr_bench.errors import IvcrError

NAMES = ("grounding_gpt", "vtimellm", "timechat")


class MomentModel(Protocol):
    """From frames to an answer; also a `torch.nn.Module`."""

    @property
    def llama(self) -> LlamaForCausalLM:
        """The language model, without a LoRA around it."""
        ...

    def film_tokens(self, rows: Tensor) -> Tensor:
        """Visual tokens ``[films, tokens, hidden]`` of what the frame encoder made of ``[films, frames]`` frames."""
        ...


@dataclass(frozen=True)
class Shown:
    """What a prompt says of a film.

    Attributes:
        tokens: visual tokens.
        times: seconds at which its frames were taken.
        duration: seconds.
    """

    tokens: int
    times: Sequence[float]
    duration: float


@dataclass(frozen=True)
class Round:
    """One question and its answer; ``None`` where the model is to answer."""

    question: str
    answer: str | None = None


@dataclass(frozen=True)
class Method:
    """One of the three; a ``config`` is the frozen dataclass of its package.

    Attributes:
        title: as its authors write it.
        presets: configurations by name: ``mini`` and ``paper``.
        build: makes a model of a configuration, with random weights.
        question: asks for the moment of a query, ``(query, config)``; the film is not part of it.
        answer: what training teaches, ``(query, start, end, shown, config)``, times in seconds.
        conversation: the whole prompt about one film, ``(rounds, shown, config)``; the last answer may be missing.
        parse: the moment that an answer names, ``(text, duration)``, in seconds within the film; ``None`` if none.
        convert: a checkpoint of the authors under our names, for a configuration.
    """

    title: str
    presets: Mapping[str, Any]
    build: Callable[[Any], MomentModel]
    question: Callable[[str, Any], str]
    answer: Callable[[str, float, float, Shown, Any], str]
    conversation: Callable[[Sequence[Round], Shown, Any], list[Piece]]
    parse: Callable[[str, float], Found | None]
    convert: Callable[[Mapping[str, Tensor], Any], dict[str, Tensor]]

    def preset(self, name: str) -> Any:
        """A configuration.

        Raises:
            IvcrError: there is no such preset.
        """
        if name not in self.presets:
            raise IvcrError(f"{self.title}: no preset {name!r}, expected one of {', '.join(self.presets)}")
        return self.presets[name]


def method_named(name: str) -> Method:
    """The method that is called ``name``.

    Raises:
        IvcrError: none is.
    """
    if name not in NAMES:
        raise IvcrError(f"no such method {name!r}, expected one of {', '.join(NAMES)}")
    method: Method = import_module(f"baselines.mllm.{name}").METHOD
    return method
