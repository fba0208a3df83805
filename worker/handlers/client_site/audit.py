"""The reviewer's checks of a built site. Each can fail; none trusts how the site was made."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from tasks.client_brief import Brief
from tasks.client_review import Check, CheckName
from worker.handlers.client_site.audit_facts import FACT_CHECKS
from worker.handlers.client_site.colors import TEXT_CONTRAST, contrast
from worker.handlers.client_site.page import HtmlPage
from worker.handlers.client_site.site import Site

#: An HTML page with the style and pictures that it uses; slow connections are common.
MAX_PAGE_KIB = 120
_PAIRS = (
    ("text", "background"),
    ("text", "surface"),
    ("muted", "background"),
    ("muted", "surface"),
    ("accent", "background"),
    ("accent", "surface"),
    ("on-accent", "accent"),
)
_RULE = re.compile(r"--([a-z-]+):\s*(#[0-9a-f]{6})")

#: Yields what is wrong; the last item of a passed check is never needed.
Audit = Callable[[Site, Brief], Iterator[str]]


def review(files: Mapping[str, bytes], brief: Brief) -> tuple[Check, ...]:
    """Every check in ``CheckName``'s order."""
    site = Site.read(files)
    checks = []
    for name in CheckName:
        audit, passed_text = _CHECKS[name]
        faults = list(audit(site, brief))
        detail = "; ".join(faults[:8]) + (f"; and {len(faults) - 8} more" if len(faults) > 8 else "")
        checks.append(Check(name=name, passed=not faults, detail=detail or passed_text(site, brief)))
    return tuple(checks)


def _well_formed(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        yield from (f"{page.path}: {fault}" for fault in page.faults)


def _one_h1(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        if len(page.headings) != 1 or not page.headings[0].strip():
            yield f"{page.path} has {len(page.headings)} main headings, or an empty one"


def _unique_ids(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        yield from (f"{page.path}: id {name!r} twice" for name, n in Counter(page.ids).items() if n > 1)


def _internal_links(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        for _, _, target in page.references:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, fragment = target.partition("#")
            path = {"": page.path, "/": "index.html"}.get(path, path)
            if path not in site.files:
                yield f"{page.path} points to {target!r}, which is not there"
            elif fragment and fragment not in site.ids(path):
                yield f"{page.path} points to {target!r}, but {path} has no such part"


def _no_external(site: Site, brief: Brief) -> Iterator[str]:
    own = f"https://{brief.domain}/" if brief.domain else "\0"
    for page in site.pages:
        for tag, attribute, target in page.references:
            scheme = target.partition(":")[0] if re.match(r"[a-z]+:", target) else ""
            allowed = (
                (not scheme and not target.startswith("//"))
                or (tag == "a" and scheme in ("mailto", "tel"))
                or (tag == "link" and target.startswith(own))
            )
            if not allowed:
                yield f"{page.path}: <{tag} {attribute}> points outside: {target}"
    for path, text in site.texts.items():
        if path.endswith((".css", ".svg")) and re.search(r"url\(\s*['\"]?(?!#)|@import|<image|<script", text):
            yield f"{path} loads something"


def _titles(site: Site, _brief: Brief) -> Iterator[str]:
    titles = Counter(page.title for page in site.pages)
    for page in site.pages:
        if not 10 <= len(page.title) <= 70:
            yield f"{page.path}: the title has {len(page.title)} characters, not 10 to 70"
        if titles[page.title] > 1:
            yield f"{page.path}: another page has the title {page.title!r}"


def _descriptions(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        length = len(page.metas.get("description", ""))
        if not 40 <= length <= 160:
            yield f"{page.path}: the description has {length} characters, not 40 to 160"


def _policy(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        if "default-src 'none'" not in page.metas.get("content-security-policy", ""):
            yield f"{page.path} has no strict content security policy"
        yield from (f"{page.path} has inline code ({what})" for what in page.inline_code)


def _language(site: Site, brief: Brief) -> Iterator[str]:
    for page in site.pages:
        if page.language != brief.language:
            yield f"{page.path} says its language is {page.language!r}, the brief says {brief.language!r}"


def _landmarks(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        needed = ("main",) if page.path == "404.html" else ("header", "nav", "main", "footer")
        missing = [tag for tag in needed if tag not in page.tags]
        if missing:
            yield f"{page.path} lacks {', '.join(f'<{tag}>' for tag in missing)}"


def _alternatives(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        yield from (f"{page.path}: the picture {path!r} has no alt" for path in page.images_without_alt)


def _contrast(site: Site, _brief: Brief) -> Iterator[str]:
    for path, mode, first, second, ratio in contrasts(site):
        if ratio < TEXT_CONTRAST:
            yield f"{path} ({mode}): {first} on {second} has a contrast of {ratio:.2f}, under {TEXT_CONTRAST}"
    if not any(path == "style.css" for path, *_ in contrasts(site)):
        yield "style.css defines no colors that could be checked"


def contrasts(site: Site) -> Iterator[tuple[str, str, str, str, float]]:
    """(file, mode, foreground, background, ratio) of each pair of colors that the style puts together."""
    style = site.texts.get("style.css", "")
    blocks = re.findall(r":root\s*\{([^}]*)\}", style)
    for mode, block in zip(("light", "dark"), blocks, strict=False):
        colors = dict(_RULE.findall(block))
        for first, second in _PAIRS:
            if first in colors and second in colors:
                yield "style.css", mode, first, second, contrast(colors[first], colors[second])


def page_kib(site: Site, page: HtmlPage) -> float:
    """KiB of a page with the style and pictures that it uses."""
    used = {target for tag, _, target in page.references if tag in ("img", "link")} & site.files.keys()
    return (len(site.files[page.path]) + sum(len(site.files[path]) for path in used)) / 1024


def _weight(site: Site, _brief: Brief) -> Iterator[str]:
    for page in site.pages:
        weight = page_kib(site, page)
        if weight > MAX_PAGE_KIB:
            yield f"{page.path} weighs {weight:.0f} KiB with its style and pictures, over {MAX_PAGE_KIB}"


def _pages_text(site: Site, _brief: Brief) -> str:
    return f"{len(site.pages)} pages checked"


def _contrast_text(site: Site, _brief: Brief) -> str:
    return f"lowest contrast {min(ratio for *_, ratio in contrasts(site)):.2f}, light and dark"


def _weight_text(site: Site, _brief: Brief) -> str:
    heaviest = max(page_kib(site, page) for page in site.pages)
    return f"heaviest page {heaviest:.0f} KiB, style and pictures included"


_CHECKS: dict[CheckName, tuple[Audit, Callable[[Site, Brief], str]]] = {
    CheckName.WELL_FORMED: (_well_formed, _pages_text),
    CheckName.ONE_H1: (_one_h1, _pages_text),
    CheckName.UNIQUE_IDS: (_unique_ids, _pages_text),
    CheckName.INTERNAL_LINKS: (
        _internal_links,
        lambda site, _: f"{sum(len(page.references) for page in site.pages)} links followed",
    ),
    CheckName.NO_EXTERNAL: (
        _no_external,
        lambda site, _: f"{len(site.files)} files load nothing from outside",
    ),
    CheckName.TITLES: (_titles, _pages_text),
    CheckName.DESCRIPTIONS: (_descriptions, _pages_text),
    CheckName.POLICY: (_policy, _pages_text),
    CheckName.LANGUAGE: (_language, lambda _, brief: f"every page says {brief.language.value!r}"),
    CheckName.LANDMARKS: (_landmarks, _pages_text),
    CheckName.ALTERNATIVES: (_alternatives, _pages_text),
    CheckName.CONTRAST: (_contrast, _contrast_text),
    CheckName.WEIGHT: (_weight, _weight_text),
    **FACT_CHECKS,
}
