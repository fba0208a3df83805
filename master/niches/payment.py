"""The question that a good niche raises: may a domain be paid for? Nothing is ever bought by D8."""

from __future__ import annotations

from typing import Any

from master.flows import ApprovalType, FlowContext, Question
from master.niches.domain import DomainName, propose_domains
from master.niches.markets import get_market
from master.niches.ranking import Ranked
from master.niches.tables import set_domain_state


def domain_question(
    best: Ranked, names: tuple[DomainName, ...], expires_s: int, artifacts: dict[str, str]
) -> Question:
    """The PAYMENT request for the first of ``names``, with the numbers that speak for it."""
    niche, wanted = best.niche, names[0]
    total = niche.score.total
    parts = sorted(niche.score.parts, key=lambda part: -part.points.middle)
    reasons = "; ".join(f"{part.name} {part.points.middle:.0f}/{part.of} ({part.reason})" for part in parts)
    return Question(
        type=ApprovalType.PAYMENT,
        title=f"Domain {wanted.name} for the niche {niche.label!r}"[:200],
        reason=(
            f"It is the best niche in {get_market(niche.market).name}: {total.middle:.0f} of 100 (between "
            f"{total.low:.0f} and {total.high:.0f}), rank {best.rank_text}. {reasons}."
        )[:4000],
        tried=(
            f"{len(names)} names were made from the niche's words and checked for length and letters. "
            f"Whether they "
            "are free was not looked up, and nothing is bought automatically: an approval records that "
            "you may "
            "spend up to this amount on the name."
        ),
        cost_minor=wanted.cost_minor,
        currency="EUR",
        category="domains",
        project=f"niche:{niche.label}"[:100],
        # A later study that wants the same name replaces this question instead of asking beside it.
        need=f"domain:{wanted.name}",
        payload={"domain": wanted.name},
        evidence={
            "other names": ", ".join(name.name for name in names[1:]) or "none",
            "keywords": ", ".join(niche.keywords[:8]),
            "report": artifacts["niches.md"],
            "map": artifacts[f"map-{niche.market}.svg"],
        },
        expires_s=expires_s,
    )


def ask_for_domain(
    ctx: FlowContext, best: Ranked, from_score: float, expires_s: int, artifacts: dict[str, str]
) -> dict[str, Any]:
    """What became of the domain of the best niche: its state, and what was decided by whom."""
    niche = best.niche
    about = {"niche": niche.label, "market": niche.market, "score": niche.score.total.middle}
    if niche.score.total.middle < from_score:
        reason = f"the best score {niche.score.total.middle:.1f} is below {from_score:g}"
        return {**about, "state": "not asked", "reason": reason}
    names = propose_domains(niche.label, get_market(niche.market))
    if not names:
        return {**about, "state": "not asked", "reason": "no domain name can be made of the label"}
    wanted = names[0]

    def record(key: str, state: str) -> None:
        ctx.act(
            key,
            lambda connection: set_domain_state(
                connection, ctx.run_id, niche.market, best.rank, state=state, domain=wanted.name
            ),
        )

    record("domain:asked", "domain_asked")
    decision = ctx.ask("domain", domain_question(best, names, expires_s, artifacts))
    record("domain:decided", f"domain_{decision.state}")
    return {
        **about,
        "state": str(decision.state),
        "name": wanted.name,
        "cost_minor": wanted.cost_minor,
        "currency": "EUR",
        "approval": decision.id,
        "by": decision.by,
        "note": decision.note,
        "bought": False,
    }
