"""A comparison as text for the terminal; figures are fractions times 100."""

from __future__ import annotations

from tabulate import tabulate

from ivcr_bench.errors import printable
from ivcr_bench.scoring.compare import Comparison, Pair, Ranking, Standing
from ivcr_bench.scoring.figures import Figure

NOTHING = "-"
"""What stands where a system does not do such turns, or where a number is not defined."""


def render_comparison(comparison: Comparison) -> str:
    """What ``ivcr-bench compare`` prints: for each metric the systems, best first, and every pair of them."""
    blocks = [
        f"{name}, x 100, propagation {comparison.propagation}, n = {ranking.standings[0].figure.n}\n"
        + _ranking(ranking)
        for name, ranking in comparison.rankings.items()
    ]
    return "\n\n".join([*blocks, _legend(comparison), f"signature: {printable(comparison.signature)}"]) + "\n"


def _ranking(ranking: Ranking) -> str:
    standings = _table(
        ["system", "figure", "95 % interval", "rank", "groups"], [_standing(standing) for standing in ranking.standings]
    )
    if not ranking.pairs:
        return standings
    header = ["pair", "difference", "95 % interval", "d_z", "p", "p Holm", ""]
    return f"{standings}\n\n{_table(header, [_pair(pair) for pair in ranking.pairs])}"


def _standing(standing: Standing) -> list[str]:
    figure, rank = standing.figure, standing.rank
    places = NOTHING if rank is None else "-".join(map(str, sorted(set(rank))))
    return [printable(standing.system), _value(figure), _interval(figure), places, standing.groups]


def _pair(pair: Pair) -> list[str]:
    effect = NOTHING if pair.effect_size is None else f"{pair.effect_size:.2f}"
    first, second = map(printable, pair.systems)
    mark = "*" if pair.significant else ""
    difference = [_value(pair.difference), _interval(pair.difference)]
    return [f"{first} - {second}", *difference, effect, _p(pair.p), _p(pair.p_holm), mark]


def _legend(comparison: Comparison) -> str:
    pairs = sum(len(ranking.pairs) for ranking in comparison.rankings.values())
    return (
        f"*: p <= {comparison.alpha:g} after Holm's correction for all {pairs} comparisons above.\n"
        "rank: the places that the differences marked * leave open. Systems that share a letter cannot be told apart.\n"
        "d_z: the difference in standard deviations between dialogues. See docs/statistics.md."
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    alignment = ["left", *["right"] * (len(header) - 2), "left"]
    return tabulate(rows, header, tablefmt="simple", colalign=alignment, disable_numparse=True)


def _value(figure: Figure) -> str:
    return NOTHING if figure.value is None else f"{100 * figure.value:.2f}"


def _interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return NOTHING
    return f"[{100 * figure.low:.2f}, {100 * figure.high:.2f}]"


def _p(p: float) -> str:
    return f"{p:.4f}" if p >= 0.0001 else "<0.0001"
