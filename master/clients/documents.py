"""The project's papers: executive summary, quality report, log. Texts from outside are escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from master.clients.project import Discovery, Draft, Entry
from master.clients.summary_words import SUMMARY_WORDS
from tasks.client_brief import Brief
from tasks.client_review import Result as Review


def executive_summary(
    brief: Brief, discovery: Discovery, draft: Draft, sentences: dict[str, str], published: bool
) -> str:
    """One page for the client, in the brief's language."""
    say = SUMMARY_WORDS[brief.language]
    checks = draft.build.review.checks
    lines = [
        f"# {md(brief.name)}",
        "",
        md(sentences["summary.opening"]),
        "",
        f"**{say['message']}:** {md(draft.texts['hero.headline'])}. {md(draft.texts['hero.lead'])}",
        "",
        f"## {say['what']}",
        "",
        f"- {say['pages']}: {len(brief.pages)} ({', '.join(say['page.' + page] for page in brief.pages)})",
        f"- {say['button']}: {md(draft.texts['hero.action'])}",
        f"- {say['first']}: {say['need.' + discovery.need]}",
        f"- {say['look']}: {md(draft.styled.look.palette)}, {draft.styled.look.typeface.value}, "
        f"{draft.styled.look.shape.value}",
        f"- {say['weight']}: {draft.build.bytes / 1024:.0f} KiB, {draft.build.files} {say['files']}",
        f"- {say['checks']}: {sum(check.passed for check in checks)}/{len(checks)}",
        "",
        f"## {say['services']}",
        "",
    ]
    lines += [f"- {md(service.name)}" for service in brief.services]
    remarks = [*discovery.examined.conflicts, *discovery.examined.gaps]
    if remarks:
        lines += ["", f"## {say['missing']}", ""]
        lines += [f"- `{remark.key}`: {md(say.get('gap.' + remark.key, remark.text))}" for remark in remarks]
    return "\n".join([*lines, "", say["published"] if published else md(sentences["summary.closing"]), ""])


def quality_report(project: str, brief: Brief, review: Review, reworks: Sequence[str]) -> str:
    """Every check with what was found."""
    passed = sum(check.passed for check in review.checks)
    lines = [
        f"# Quality report: {md(brief.name)}",
        "",
        f"Project `{project}`. {passed} of {len(review.checks)} checks passed.",
        "",
        "| check | result | found |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {check.name.value} | {'passed' if check.passed else '**failed**'} | {md(check.detail)} |"
        for check in review.checks
    ]
    if reworks:
        lines += ["", "## Sent back", ""]
        lines += [f"- {md(rework)}" for rework in reworks]
    return "\n".join([*lines, ""])


def quality_data(project: str, review: Review) -> str:
    """The same for programs."""
    checks = [check.model_dump(mode="json") for check in review.checks]
    return (
        json.dumps(
            {"project": project, "passed": not review.failed, "checks": checks}, ensure_ascii=False, indent=2
        )
        + "\n"
    )


def project_log(project: str, brief: Brief, entries: Sequence[Entry]) -> str:
    """Who decided what and how, in order."""
    lines = [f"# Log: {md(brief.name)}", "", f"Project `{project}`.", ""]
    phase = ""
    for entry in entries:
        if entry.phase != phase:
            phase = entry.phase
            lines += [f"## {phase.capitalize()}", ""]
        lines += [f"- **{entry.role}**: {md(entry.text)}", ""]
    return "\n".join(lines)


def md(text: str) -> str:
    """Plain text, inert in Markdown and in the HTML that it may hold."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", " ".join(text.split()))
