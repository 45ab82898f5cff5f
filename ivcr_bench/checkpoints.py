"""Checkpoints of other people, made into weights of this repository: read without running code from them.

What the tensors are called differs from model to model; an entry point of the group `GROUP` knows for one model.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from ivcr_bench.errors import IvcrError
from ivcr_bench.jsonl import write_atomically

if TYPE_CHECKING:
    from torch import Tensor

GROUP = "ivcr_bench.converters"
"""The entry-point group in which converters register, ours and anyone's."""


class Conversion(NamedTuple):
    """What a converter makes of a checkpoint.

    Attributes:
        tensors: the checkpoint's, under the model's names.
        expected: the shape of each tensor that the model has.
        config: what ``config.json`` says of the model.
    """

    tensors: Mapping[str, Tensor]
    expected: Mapping[str, tuple[int, ...]]
    config: Mapping[str, Any]


class Converter(Protocol):
    """What an entry point of `GROUP` must be."""

    def __call__(self, checkpoint: Mapping[str, Any], *, preset: str) -> Conversion:
        """Rename the tensors of ``checkpoint`` for the model of ``preset``.

        Raises:
            IvcrError: there is no such preset, or the checkpoint holds no tensors where they should be.
        """
        ...


class Comparison(NamedTuple):
    """How the tensors of a conversion differ from what the model has; names, sorted.

    Attributes:
        misshapen: name, found and expected shape.
    """

    missing: list[str]
    unexpected: list[str]
    misshapen: list[tuple[str, tuple[int, ...], tuple[int, ...]]]

    @property
    def fits(self) -> bool:
        """Whether the model can be loaded; what it does not know is no obstacle."""
        return not self.missing and not self.misshapen


def compare(conversion: Conversion) -> Comparison:
    """Compare names and shapes."""
    found, expected = conversion.tensors, conversion.expected
    shapes = {name: tuple(found[name].shape) for name in found.keys() & expected.keys()}
    return Comparison(
        missing=sorted(expected.keys() - found.keys()),
        unexpected=sorted(found.keys() - expected.keys()),
        misshapen=[(name, shapes[name], expected[name]) for name in sorted(shapes) if shapes[name] != expected[name]],
    )


def find_converter(name: str) -> Converter:
    """The converter registered under ``name``.

    Raises:
        IvcrError: there is none, or it needs packages that are not installed.
    """
    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise IvcrError(f"no converter for {name!r}", hint=f"one of {', '.join(sorted(known))}")
    try:
        converter: Converter = known[name].load()
    except ModuleNotFoundError as error:
        raise IvcrError(f"converter {name!r} needs {error.name!r}", hint='pip install "ivcr-bench[models]"') from None
    return converter


def read_checkpoint(path: Path) -> Mapping[str, Any]:
    """A ``.safetensors`` file, or a PyTorch checkpoint, of which nothing but tensors and plain data is read.

    Raises:
        IvcrError: it cannot be read, or holds anything else.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        # Settings of a command line are plain data too, and many checkpoints hold them.
        with torch.serialization.safe_globals([argparse.Namespace]):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise IvcrError(f"{path}: cannot read the checkpoint: {error.strerror or error}") from None
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, KeyError, ValueError) as error:
        first_line = next(iter(str(error).splitlines()), "")
        raise IvcrError(f"{path}: not a checkpoint of tensors and plain data: {first_line}") from None
    if not isinstance(found, Mapping):
        raise IvcrError(f"{path}: found a {type(found).__name__}, expected tensors by name")
    return found


def write_weights(folder: Path, conversion: Conversion) -> None:
    """Write ``model.safetensors``, of the tensors that the model has, and ``config.json``.

    Raises:
        IvcrError: the folder cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: conversion.tensors[name].contiguous().clone() for name in conversion.expected}
    write_atomically(folder / "model.safetensors", [save(tensors)])
    config = msgspec.json.format(msgspec.json.encode(conversion.config), indent=2)
    write_atomically(folder / "config.json", [config, b"\n"])
