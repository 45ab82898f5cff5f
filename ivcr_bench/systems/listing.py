"""What systems there are, told from their source text: nothing is imported, so that listing them is quick."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from ivcr_bench.schema import INTENTS, Intent
from ivcr_bench.systems.registry import ORACLE, registered

_PARTS: dict[str, tuple[Intent, ...]] = {"rank": ("video_retrieval",), "localise": ("moment_retrieval",)}
"""Method -> what a part of a system that has it is for."""


class Listed(NamedTuple):
    """A line of ``ivcr-bench systems``.

    Attributes:
        intents: what it can answer; ``None`` where its class does not say so in plain text.
        source: the distribution and the class that it comes from.
    """

    name: str
    intents: tuple[Intent, ...] | None
    source: str


def list_systems() -> list[Listed]:
    """Everything that ``--system`` knows by name, sorted by name."""
    listed = [Listed(name, _intents(entry), _source(entry)) for name, entry in registered().items()]
    listed.append(Listed(ORACLE, INTENTS, "ivcr-bench: the gold answers"))
    return sorted(listed)


def _source(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}: {entry.value}" if entry.dist else entry.value


def _intents(entry: EntryPoint) -> tuple[Intent, ...] | None:
    """What the entry's class, or the class that its function returns, says in its body."""
    tree = _syntax_tree(entry.module)
    nodes = tree.body if tree else []
    classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
    makes = {node.name: node.returns for node in nodes if isinstance(node, ast.FunctionDef)}
    returns = makes.get(entry.attr)
    found = classes.get(ast.unparse(returns).strip("'") if returns else entry.attr)
    return _said_in(found.body) if found else None


def _said_in(body: Sequence[ast.stmt]) -> tuple[Intent, ...] | None:
    """The intents named in ``intents = ...``, where ``INTENTS`` stands for all; else what its methods are for."""
    for value in filter(None, (_value_of(statement, "intents") for statement in body)):
        words = {node.value for node in ast.walk(value) if isinstance(node, ast.Constant)}
        names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name)}
        return INTENTS if "INTENTS" in names else tuple(intent for intent in INTENTS if intent in words)
    methods = {statement.name for statement in body if isinstance(statement, ast.FunctionDef)}
    return next((intents for method, intents in _PARTS.items() if method in methods), None)


def _value_of(statement: ast.stmt, name: str) -> ast.expr | None:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return statement.value if statement.target.id == name else None
    if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == [name]:
        return statement.value
    return None


def _syntax_tree(module: str) -> ast.Module | None:
    try:
        spec = find_spec(module)
        return ast.parse(Path(spec.origin).read_bytes()) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError, ValueError):
        return None
