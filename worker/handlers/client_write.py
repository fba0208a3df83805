"""The copywriter and the strategist: fill slots with words that state nothing beyond the brief."""

from __future__ import annotations

from tasks.client_brief import Brief, Language
from tasks.client_write import Request, Result, Slot, Written
from worker.handlers.client_site.choosing import Ballot, best, weigh
from worker.handlers.client_site.facts import known_facts
from worker.handlers.client_site.writing import clean, refusal
from worker.handlers.context import Context
from worker.models.protocol import GenerateItem

#: One sentence; what is longer is refused anyway.
_MAX_TOKENS = 56

_LANGUAGE_NAMES = {Language.SPANISH: "Spanish", Language.ENGLISH: "English"}


def handle(request: Request, context: Context) -> Result:
    about = describe(request.brief, request.note)
    generated, refused = _generate(request, about, context)
    context.progress(0.6, "texts generated and checked")
    open_slots, ballots = [], []
    for slot in request.slots:
        answers = tuple(dict.fromkeys((*slot.candidates, *generated.get(slot.name, ()))))
        if len(answers) > 1:
            open_slots.append(slot.name)
            ballots.append(Ballot(_question(slot, request.brief), answers))
    scores = weigh(context.models, request.model, about, ballots) if ballots else []
    chosen = {
        name: ballot.answers[best(weights)]
        for name, ballot, weights in zip(open_slots, ballots, scores, strict=True)
    }
    texts = []
    for slot in request.slots:
        text = chosen.get(slot.name, slot.candidates[0])
        texts.append(
            Written(
                name=slot.name,
                text=text,
                source="template" if text in slot.candidates else "model",
                refused=tuple(refused.get(slot.name, ())),
            )
        )
    return Result(texts=tuple(texts))


def describe(brief: Brief, note: str) -> str:
    """The business in a few lines, for a prompt."""
    lines = [
        f"Business: {brief.name}, {brief.sector}, {brief.city}.",
        f"Offers: {', '.join(service.name for service in brief.services[:5])}.",
        f"Tone: {brief.tone.value}.",
        " ".join(brief.description.split())[:240],
    ]
    if note:
        lines.append(f"The owner rejected the last draft: {note}")
    return "\n".join(lines)


def _question(slot: Slot, brief: Brief) -> str:
    return f"Write the {slot.name.replace('.', ' ')} of the website in {_LANGUAGE_NAMES[brief.language]}."


def _generate(
    request: Request, about: str, context: Context
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Texts that passed the fact check, and the reasons of those that did not, by slot."""
    known = known_facts(request.brief)
    wanted = [slot for slot in request.slots if slot.ask and request.samples]
    items = [
        GenerateItem(
            prompt=context.models.chat_prompt(
                request.model,
                [
                    (
                        "system",
                        f"You write for websites, in {_LANGUAGE_NAMES[request.brief.language]}. "
                        "Use only what you are told. Invent nothing.",
                    ),
                    ("user", f"{about}\n\n{slot.ask}"),
                ],
            ),
            max_new_tokens=min(_MAX_TOKENS, slot.max_chars // 2),
            temperature=0.7,
            top_p=0.9,
            seed=request.seed + sample,
            stop=("\n",),
        )
        for slot in wanted
        for sample in range(request.samples)
    ]
    passed: dict[str, list[str]] = {}
    refused: dict[str, list[str]] = {}
    answers = context.models.generate(request.model, items) if items else []
    owners = [slot for slot in wanted for _ in range(request.samples)]
    for slot, answer in zip(owners, answers, strict=True):
        text = clean(answer.text)
        reason = refusal(text, request.brief, known, slot.max_chars)
        if reason:
            refused.setdefault(slot.name, []).append(f"{reason}: {text[:60]!r}")
        else:
            passed.setdefault(slot.name, []).append(text)
    return passed, refused
