"""Systems by name: what ``--system`` accepts (docs/systems.md).

```
SPEC  = first-turn-only:SPEC | cmd:PROGRAM | http(s)://URL | PART+PART | PART@PART | PART
PART  = NAME | NAME:FOLDER | package.module:Class
```
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from ivcr_bench.errors import IvcrError
from ivcr_bench.schema import Dialogue, QueryPolicy
from ivcr_bench.systems.compose import Composed, Reranked, RetrieverAlone
from ivcr_bench.systems.controls import FirstTurnOnly, Oracle
from ivcr_bench.systems.protocol import (
    MomentLocaliser,
    Reranker,
    SingleTurnRetriever,
    System,
    VideoRetriever,
)
from ivcr_bench.systems.traits import name_of

GROUP = "ivcr_bench.systems"
"""The entry-point group in which systems, retrievers and localisers register, ours and anyone's."""

ORACLE = "oracle"
FIRST_TURN_ONLY = "first-turn-only:"


def create_system(
    spec: str, *, dialogues: Sequence[Dialogue] | None = None, query: QueryPolicy | None = None
) -> System:
    """Make the system that ``spec`` names; it is not yet prepared.

    Args:
        dialogues: what the system will be asked about. Only ``oracle`` gets to see them.
        query: what of a dialogue its retriever is asked, if not what it was trained on.

    Raises:
        IvcrError: there is no such system, it cannot be loaded, or its parts do not fit together.
    """
    spec = spec.strip()
    if spec.startswith(FIRST_TURN_ONLY):
        return FirstTurnOnly(create_system(spec.removeprefix(FIRST_TURN_ONLY), dialogues=dialogues, query=query))
    if query is not None and spec.startswith(("cmd:", "http://", "https://")):
        raise IvcrError(f"system {spec!r}: --query does not reach another process", hint="leave it out")
    if spec.startswith("cmd:"):
        from ivcr_bench.systems.process import ProcessSystem

        return ProcessSystem(spec.removeprefix("cmd:"))
    if spec.startswith(("http://", "https://")):
        from ivcr_bench.systems.http import HttpSystem

        return HttpSystem(spec)
    return _as_system(_create_part(spec, dialogues, query), spec)


def registered() -> dict[str, EntryPoint]:
    """Name -> entry point of everything that registers in `GROUP`."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP))}


def _create_part(spec: str, dialogues: Sequence[Dialogue] | None, query: QueryPolicy | None) -> object:
    """What ``spec`` names: a system, a retriever or a localiser."""
    if "+" in spec:
        first, second = _two_parts(spec, "+", dialogues)
        return Composed(
            _asked(_require(VideoRetriever, first, spec, "before '+': a video retriever (method rank)"), query),
            _require(MomentLocaliser, second, spec, "after '+': a moment localiser (method localise)"),
        )
    if "@" in spec:
        first, second = _two_parts(spec, "@", dialogues)
        return Reranked(
            _require(Reranker, first, spec, "before '@': a system that re-ranks (method with_retriever)"),
            _asked(_require(VideoRetriever, second, spec, "after '@': a video retriever (method rank)"), query),
        )
    if spec == ORACLE:
        if dialogues is None:
            raise IvcrError(f"system {ORACLE!r} needs the dialogues that it is to answer")
        return _asked(Oracle(dialogues), query)
    return _asked(_load(spec), query)


def _asked(part: Any, query: QueryPolicy | None) -> Any:
    """``part`` under the policy ``query``, if there is one."""
    if query is None:
        return part
    if not isinstance(part, SingleTurnRetriever):
        raise IvcrError(f"{name_of(part)}: has no query policy", hint="--query is for retrievers of single turns")
    return part.with_query(query)


def _two_parts(spec: str, sign: str, dialogues: Sequence[Dialogue] | None) -> tuple[object, object]:
    names = spec.split(sign)
    if len(names) != 2 or not all(names):
        raise IvcrError(f"system {spec!r}: found {len(names)} parts, expected A{sign}B")
    return _create_part(names[0], dialogues, None), _create_part(names[1], dialogues, None)


def _as_system(part: object, spec: str) -> System:
    if isinstance(part, System):
        return part
    if isinstance(part, VideoRetriever):
        return RetrieverAlone(part)
    if isinstance(part, MomentLocaliser):
        raise IvcrError(
            f"system {spec!r} is a moment localiser, which needs a film to look into",
            hint=f"give it a retriever: 'random+{spec}'",
        )
    missing = [name for name in ("name", "intents", "prepare", "respond") if not hasattr(part, name)]
    raise IvcrError(f"system {spec!r}: {type(part).__name__} has no {', '.join(missing)}", hint="see docs/systems.md")


def _require(kind: Any, part: object, spec: str, expected: str) -> Any:
    if not isinstance(part, kind):
        raise IvcrError(f"system {spec!r}: found {type(part).__name__}, expected {expected}")
    return part


def _load(spec: str) -> object:
    name, _, argument = spec.partition(":")
    entries = registered()
    if name in entries:
        factory = _import_entry(entries[name])
        return _call(factory, spec, Path(argument)) if argument else _call(factory, spec)
    if argument and re.fullmatch(r"[\w.]+:[\w.]+", spec):
        return _call(_import_class(spec, name, argument), spec)
    known = [*entries, ORACLE]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    suggestion = f"did you mean {' or '.join(map(repr, near))}?" if near else "'ivcr-bench systems' lists them"
    raise IvcrError(f"no system {spec!r}", hint=suggestion)


def _import_entry(entry: EntryPoint) -> Callable[..., object]:
    try:
        factory: Callable[..., object] = entry.load()
    except ModuleNotFoundError as error:
        raise IvcrError(f"system {entry.name!r} needs {error.name}", hint=_install_hint(entry, error)) from error
    except Exception as error:
        raise _cannot_load(entry.name, error) from error
    return factory


def _import_class(spec: str, module: str, name: str) -> Callable[..., object]:
    # A console script does not look in the current folder, where a user's own module usually lies.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module)
        for attribute in name.split("."):
            found = getattr(found, attribute)
    except Exception as error:
        raise _cannot_load(spec, error) from error
    if not callable(found):
        raise IvcrError(f"system {spec!r}: found {type(found).__name__}, expected a class")
    factory: Callable[..., object] = found
    return factory


def _call(factory: Callable[..., object], spec: str, *arguments: Path) -> object:
    try:
        return factory(*arguments)
    except IvcrError:
        raise
    except Exception as error:
        raise _cannot_load(spec, error) from error


def _cannot_load(spec: str, error: Exception) -> IvcrError:
    first_line = next(iter(str(error).splitlines()), "")
    return IvcrError(
        f"system {spec!r} cannot be loaded: {type(error).__name__}: {first_line}",
        hint="'ivcr-bench --debug run ...' shows where",
    )


def _install_hint(entry: EntryPoint, error: ModuleNotFoundError) -> str:
    """The extra of the system's own distribution that brings the missing module."""
    module = (error.name or "").partition(".")[0]
    if entry.dist is None:
        return f"install the module {module!r}"
    for requirement in entry.dist.requires or ():
        found = re.match(r"""([\w.-]+).*\bextra\s*==\s*["']([\w.-]+)["']""", requirement)
        if found and _plain(found[1]) in (_plain(module), f"py{_plain(module)}"):
            return f'pip install "{entry.dist.name}[{found[2]}]"'
    return f"reinstall {entry.dist.name!r}, or install the module {module!r}"


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
