"""Researcher, strategist, architect, designer: decides between options by likelihood."""

from __future__ import annotations

from tasks.client_choose import Choice, Request, Result
from worker.handlers.client_site.choosing import Ballot, best, weigh
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    about = request.about
    if request.note:
        about += f"\nThe owner rejected the last draft: {request.note}"
    open_points = [point for point in request.decisions if len(point.options) > 1]
    ballots = [
        Ballot(point.question, tuple(option.text for option in point.options)) for point in open_points
    ]
    scores = weigh(context.models, request.model, about, ballots) if ballots else []
    scores_of = dict(zip((point.name for point in open_points), scores, strict=True))
    context.progress(0.9, f"{len(open_points)} decisions weighed")
    choices = []
    for point in request.decisions:
        if point.name not in scores_of:
            choices.append(Choice(name=point.name, label=point.options[0].label, by="only", scores=()))
            continue
        weights = scores_of[point.name]
        choices.append(
            Choice(
                name=point.name,
                label=point.options[best(weights)].label,
                by="model",
                scores=tuple(round(weight, 4) for weight in weights),
            )
        )
    return Result(choices=tuple(choices))
