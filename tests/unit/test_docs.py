"""What the documents name is there: files, folders, links, modules, commands with their options, settings."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from master.cli.main import GROUPS
from tests.support import ROOT
from tests.unit.commands import all_options, commands_in, complaint_about, tree

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
#: A path as documents write one: with a slash, of plain names; ``<name>`` and ``*`` stand for any.
PATH = re.compile(r"[\w.<*-][\w.<>*-]*(/[\w.<>*-]+)*/?")

#: Folders of a home and of the compose file's volumes; what is in them is made by running.
MADE_BY_RUNNING = frozenset({"secrets", "run", "logs", "output", "keys", ".venv"})
#: Files that a document tells its reader to make.
TO_BE_MADE = frozenset(
    {"tasks/text_count.py", "worker/handlers/text_count.py", "master/flows/count_words.py"}
)
#: Settings that are Docker's or a shell's alone stand in these beside the code.
SOURCES = ("tasks", "master", "worker", "scripts", "docker", "docker-compose.yml", "celeryconfig.py")


def parts_of(page: Path) -> Iterator[str]:
    """What is set as code: every line of the blocks, every span of the text."""
    text = page.read_text("utf-8")
    for block in FENCE.finditer(text):
        yield from block[2].splitlines()
    yield from SPAN.findall(FENCE.sub("", text))


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def is_there(page: Path, path: str) -> bool:
    # Of a name that stands for several, ``<group>_<verb>.py``, there is one; of one that the reader is to
    # choose, ``web_SECTION.po``, there is the folder.
    pattern = re.sub(r"<\w+>", "*", path.rstrip("/"))
    if re.search(r"[A-Z]{4,}[^/]*$", pattern) and not (ROOT / pattern).exists():
        pattern = pattern.rpartition("/")[0]
    # In an overview of one package, its folders go by their own names: ``engines/``.
    shorter = [f"*/{pattern}", f"*/*/{pattern}"] if path.endswith("/") else []
    return any(any(ROOT.glob(one)) for one in [pattern, *shorter]) or any(page.parent.glob(pattern))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_path_that_a_document_names_exists(page: Path) -> None:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()}
    absent = []
    for word in {word.strip(",;:()'\"") for part in parts_of(page) for word in part.split()}:
        first, slash, rest = word.partition("/")
        named = bool(slash) and (first in folders or bool(re.search(r"\.\w{1,5}$", rest)))
        if not named or not PATH.fullmatch(word) or first in MADE_BY_RUNNING or word in TO_BE_MADE:
            continue
        if not is_there(page, word):
            absent.append(word)
    assert not absent, f"{name_of(page)} names {sorted(absent)}"


def anchors_of(page: Path) -> set[str]:
    """GitHub's names of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.M)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_document_leads_somewhere(page: Path) -> None:
    broken = []
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in anchors_of(goal)):
            broken.append(target)
    assert not broken


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            # Of a folder that is linked, such as the decisions, all pages can be seen.
            ahead += [file for file in page.glob("*.md") if file not in reached]
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in LINK.findall(page.read_text("utf-8")))
        ahead += [(page.parent / target).resolve() for target in targets if target and ":" not in target]
    assert not set(PAGES) - reached


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_module_and_name_in_it_that_a_document_names_exists(page: Path) -> None:
    absent = []
    for part in set(parts_of(page)):
        dotted = re.fullmatch(r"((?:master|worker|tasks)(?:\.\w+)+)(?:\(.*\))?", part)
        if dotted and not (ROOT / part).exists() and not resolves(dotted[1]):
            absent.append(part)
    assert not absent


def resolves(dotted: str) -> bool:
    """Whether it is a module, or a name in one."""
    module, _, name = dotted.rpartition(".")
    try:
        if importlib.util.find_spec(dotted):
            return True
    except ModuleNotFoundError:
        pass
    try:
        return hasattr(importlib.import_module(module), name)
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_document_names_exists_with_its_options(page: Path) -> None:
    wrong = {
        line: complaint
        for part in parts_of(page)
        for line in commands_in(part)
        if (complaint := complaint_about(line))
    }
    assert not wrong


def test_every_command_that_a_message_of_ours_names_exists_with_its_options() -> None:
    """Messages name commands in quotes, ``run 'd8 worker update' there``, and pages in ``<code>``."""
    wrong = {}
    for package in ("tasks", "master", "worker"):
        for path in sorted((ROOT / package).rglob("*.*")):
            if path.suffix not in (".py", ".html"):
                continue
            text = re.sub(r"\{[^{}\n]*\}", "VALUE", path.read_text("utf-8"))
            for named in re.findall(r"(?:'|<code>)(d8 [a-z][^'<\"\n]*)['<]", text):
                if complaint := complaint_about(named):
                    wrong[f"{path.relative_to(ROOT)}: {named}"] = complaint
    assert not wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_of_a_script_that_a_document_names_is_in_it(page: Path) -> None:
    absent = []
    for part in parts_of(page):
        for name, rest in re.findall(r"scripts/([\w-]+)((?: [^|&;#`]*)?)", part):
            if name == "d8":
                continue
            words = rest.split()
            sources = [ROOT / "scripts" / name]
            if name == "bench" and words:
                sources = [ROOT / f"tests/bench/{words[0]}.py"]
            text = "".join(read_all(source) for source in sources)
            absent += [
                f"{name} {word}"
                for word in words
                if word.startswith("--")
                and not re.search(rf"[\"' |)(]?{re.escape(word.split('=')[0])}\b", text)
            ]
    assert not absent


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_option_that_a_document_names_alone_is_of_some_program_of_ours(page: Path) -> None:
    programs = [ROOT / "worker/models", ROOT / "scripts", ROOT / "tests/bench"]
    files = [
        path for folder in programs for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"
    ]
    text = "".join(
        path.read_text("utf-8", errors="replace") for path in files if path.suffix in ("", ".py", ".sh")
    )
    known = all_options() | set(re.findall(r"--[a-z][a-z0-9-]+", text))
    alone = {part.split()[0] for part in parts_of(page) if re.match(r"--[a-z]", part)}
    assert not alone - known


@pytest.mark.parametrize("name", sorted(GROUPS))
def test_the_help_of_a_group_lists_all_of_its_commands(name: str) -> None:
    """``d8 --help``, ``d8 NAME --help`` and docs/command-line.md, where they list commands at all."""
    group = tree().commands[name]
    rows = (ROOT / "docs/command-line.md").read_text("utf-8")
    told = re.findall(rf"^\| `d8 {name}` \| (.*) \|$", rows, re.M)
    for text in (GROUPS[name], group.help, *(re.sub(r"\[(.*?)\]\(.*?\)", r"\1", row) for row in told)):
        listed = text.partition(": ")[2].strip(".").split(", ")
        if all(re.fullmatch(r"[a-z-]+", word) for word in listed):
            assert sorted(listed) == sorted(group.commands), text


def read_all(source: Path) -> str:
    """A script with what it runs by name: modules, and parts that it reads in."""
    if not source.is_file():
        return ""
    text = source.read_text("utf-8")
    named = re.findall(r"-m ([a-z_.]+)", text)
    files = [ROOT / f"{module.replace('.', '/')}.py" for module in named]
    files += [ROOT / f"{module.replace('.', '/')}/__main__.py" for module in named]
    files += [
        ROOT / part for part in re.findall(r"scripts/[\w/.-]+", text) if part != f"scripts/{source.name}"
    ]
    return text + "".join(file.read_text("utf-8") for file in files if file.is_file())


def test_every_setting_that_a_document_names_is_read_somewhere() -> None:
    code = ""
    for source in SOURCES:
        path = ROOT / source
        files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
        code += "".join(
            file.read_text("utf-8", errors="replace") for file in files if ".pyc" not in file.name
        )
    fields = {f"D8_{name.upper()}" for name in re.findall(r"^    (\w+): ", code, re.M)}
    known = fields | set(re.findall(r"D8_[A-Z0-9_]*[A-Z0-9]", code))
    named = {
        (name_of(page), setting)
        for page in PAGES
        for setting in re.findall(r"\bD8_[A-Z0-9_]*[A-Z0-9]\b", page.read_text("utf-8"))
    }
    # ``D8_NAME_FILE`` reads ``D8_NAME`` from a file; ``D8_NAME`` stands for any.
    absent = {
        (page, setting) for page, setting in named if setting.removesuffix("_FILE") not in known | {"D8_NAME"}
    }
    assert not absent
