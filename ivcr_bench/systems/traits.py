"""The optional attributes of systems, retrievers and localisers (see `ivcr_bench.systems.protocol`)."""

from __future__ import annotations


def reads_films(part: object) -> bool:
    """Whether ``part`` opens films; ``True`` unless it says otherwise."""
    return bool(getattr(part, "reads_films", True))


def sees_gold(part: object) -> bool:
    """Whether ``part`` was given the gold answers; only `ivcr_bench.systems.controls.Oracle` is."""
    return bool(getattr(part, "sees_gold", False))


def fingerprint_of(*parts: object) -> str | None:
    """What identifies the weights of ``parts``; ``None`` if none of them says."""
    found = [getattr(part, "fingerprint", None) for part in parts]
    return "+".join(str(fingerprint or "-") for fingerprint in found) if any(found) else None


def name_of(part: object) -> str:
    """The name that ``part`` gives itself, else that of its class."""
    return str(getattr(part, "name", type(part).__name__))
