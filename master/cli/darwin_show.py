"""How ``d8 darwin`` shows an evolution in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_BARS = "▁▂▃▄▅▆▇█"


def render(shown: dict[str, Any]) -> RenderableType:
    """Progress, the best's line, the population, and the report once there is one."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [Text(_standing(shown))]
    if line := sparkline([one["best"] for one in shown["points"] if one["best"] is not None]):
        parts.append(Text(f"best so far  {line}"))
    if shown["population"]:
        parts += [Text(""), _population(shown["population"])]
    found = shown["result"]
    if found and "verdict" in found:
        parts += [
            Text(""),
            Text(found["verdict"]["text"], style="bold"),
            Text(""),
            render_lineage(found["lineage"]),
            Text(f"\nThe best genome, {found['best']['id']}, asks:\n", style="bold"),
            Text(found["best"]["prompt"]),
            Text(
                f"\nReport: report.md, chart: fitness.svg; 'd8 darwin export {shown['id']} FILE' writes the agent."
            ),
        ]
    return Group(*parts)


def sparkline(values: list[float], width: int = 60) -> str:
    """The values as a line of bars; "" for none."""
    if not values:
        return ""
    step = max(1, -(-len(values) // width))
    taken = [*values[::step], values[-1]]
    low, high = min(taken), max(taken)
    spread = high - low or 1.0
    bars = "".join(_BARS[round((one - low) / spread * (len(_BARS) - 1))] for one in taken)
    return f"{low:.4g} {bars} {high:.4g}"


def _standing(shown: dict[str, Any]) -> str:
    of = f" of {shown['total']}" if shown["total"] else ""
    parts = [f"evolution {shown['id']} is {shown['state']}: {shown['error'] or shown['note']}"]
    parts.append(
        f"{shown['told']}{of} evaluations, {shown['failed']} failed, {shown['cached']} known already; "
        f"the fleet was busy with it {shown['busy_pct']:g}% of the time; {shown['tokens']} tokens, "
        f"{shown['micros'] / 1e6:.2f} €"
    )
    if shown["left_s"]:
        parts.append(f"about {shown['left_s'] / 60:.1f} minutes left")
    return "\n".join(parts)


def _population(population: list[dict[str, Any]]) -> RenderableType:
    from master.cli.base import table

    made = table("candidate", "score", "answered", "tokens", "seconds", "made by")
    for one in population[:12]:
        made.add_row(
            one["id"],
            f"{one['score']:.4g}",
            str(one["answered"]),
            f"{one['tokens']:.0f}",
            f"{one['seconds']:.2f}",
            ", ".join(one["operators"]),
        )
    return made


def render_lineage(lineage: list[dict[str, Any]]) -> Text:
    """The ancestors, the oldest first, each with what it changed."""
    from rich.text import Text

    text = Text()
    for one in lineage:
        score = "" if one["score"] is None else f"  {one['score']:.4g}"
        origin = f" from {', '.join(one['parents'])}" if one["parents"] else ""
        text.append(f"{one['id']}", style="bold")
        text.append(f"  {', '.join(one['operators'])}{origin}{score}\n")
        for line in one["difference"].splitlines():
            text.append(f"    {line}\n", style="green" if line.startswith("+") else "red")
    return text


def best_of(shown: dict[str, Any]) -> dict[str, Any]:
    """The best at the end, or so far. ``Refused`` while there is none."""
    from tasks.errors import Refused

    found = shown["result"]
    if found and "verdict" in found:
        return {**found["best"], "held_out": found["held_out"], "verdict": found["verdict"]}
    if found:
        best: dict[str, Any] = found["best"][0]
        return best
    if not shown["population"]:
        raise Refused(
            f"evolution {shown['id']} is {shown['state']} and has no best genome yet: "
            f"'d8 darwin show {shown['id']}' shows how far it is"
        )
    first: dict[str, Any] = shown["population"][0]
    return first


def render_best(best: dict[str, Any]) -> Text:
    """The prompt or genome, and how good it is."""
    from rich.text import Text

    if "prompt" in best:
        return Text(f"{best['prompt']}\n\n{best['verdict']['text']}")
    genome = best.get("genome", f"(see 'd8 darwin lineage'; {best.get('digest', '')})")
    return Text(f"{best['id']}: score {best['score']:.6g}\n{genome}")
