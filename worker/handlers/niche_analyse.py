"""Handler of ``niche.analyse``: intent, growth and seasons of one group of keywords."""

from __future__ import annotations

from tasks.errors import PermanentFailure
from tasks.niche_analyse import Keyword, KeywordIntent, Probabilities, Request, Result
from worker.handlers.context import Context
from worker.handlers.niche_intents import (
    combine,
    model_probabilities,
    rule_intent,
    rule_probabilities,
    score_items,
    top,
)
from worker.handlers.niche_seasons import growth, monthly_totals, seasons

#: Of the keywords that the model judges, the share on which a rule speaks as well: a check of both.
CHECKED_SHARE = 0.25


def handle(request: Request, context: Context) -> Result:
    """The evidence; what it is worth is decided on the master."""
    for keyword in request.keywords:
        if keyword.monthly and len(keyword.monthly) != len(request.months):
            raise PermanentFailure(
                f"keyword {keyword.text!r} has {len(keyword.monthly)} monthly numbers for "
                f"{len(request.months)} months: give one for each month, or none"
            )
    rules = {keyword.text: rule_intent(keyword.text) for keyword in request.keywords}
    judged = choose_judged(request.keywords, rules, request.judged_by_model)
    opinions = ask_model(judged, request.model, context)
    context.progress(0.9, "measuring growth and seasons")
    totals = monthly_totals(request.keywords, request.months)
    change = growth(request.keywords, totals)
    return Result(
        intents=tuple(_intent(keyword.text, rules, opinions) for keyword in request.keywords),
        agreement=_agreement(rules, opinions),
        growth=change,
        seasons=seasons(totals, request.months, change),
        model_sha256=context.models.describe(request.model).get("sha256", "") if opinions else "",
    )


def choose_judged(keywords: tuple[Keyword, ...], rules: dict[str, str], count: int) -> list[str]:
    """The keywords to ask the model about: the most searched without a rule, and some with one."""
    ranked = sorted(keywords, key=lambda keyword: (-keyword.volume, keyword.text))
    silent = [keyword.text for keyword in ranked if not rules[keyword.text]]
    ruled = [keyword.text for keyword in ranked if rules[keyword.text]]
    checked = min(len(ruled), max(round(count * CHECKED_SHARE), count - len(silent)))
    return silent[: count - checked] + ruled[:checked]


def ask_model(texts: list[str], model: str, context: Context) -> dict[str, Probabilities]:
    """The model's calibrated opinion of each text."""
    if not texts:
        return {}
    context.progress(0.1, f"asking the model about {len(texts)} keywords")
    # One call for each intent: a prompt that comes alone is kept by the model server, and the next
    # group of keywords continues it.
    scored = [answer for item in score_items(texts) for answer in context.models.score(model, [item])]
    return dict(zip(texts, model_probabilities(scored, len(texts)), strict=True))


def _intent(text: str, rules: dict[str, str], opinions: dict[str, Probabilities]) -> KeywordIntent:
    by_rule = rule_probabilities(rules[text]) if rules[text] else None
    by_model = opinions.get(text)
    return KeywordIntent(text=text, combined=combine(by_rule, by_model), by_rule=by_rule, by_model=by_model)


def _agreement(rules: dict[str, str], opinions: dict[str, Probabilities]) -> float | None:
    both = [(rules[text], top(opinion)) for text, opinion in opinions.items() if rules[text]]
    return round(sum(rule == opinion for rule, opinion in both) / len(both), 3) if both else None
