"""Genomes that are programs: Python source, changed by its syntax tree. Pure; nothing is run here."""

from __future__ import annotations

import ast
import copy
import difflib
import hashlib
import random
from collections.abc import Sequence
from typing import Any

from tasks.errors import InvalidInput

MAX_CHARACTERS = 20_000
_OPERATORS: tuple[type[ast.operator], ...] = (ast.Add, ast.Sub, ast.Mult, ast.Div)
_COMPARISONS: tuple[type[ast.cmpop], ...] = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class CodeVariation:
    """``master.darwin.engines.protocol.Variation`` of programs.

    Without a language model it changes numbers, operators and comparisons, and exchanges expressions
    between two programs: J. Koza's genetic programming (1992) on a language that people read. What it
    makes is always Python, and seldom sense: the environment is the judge.
    """

    def __init__(self, seeds: Sequence[str]) -> None:
        self._seeds = [_normal(seed) for seed in seeds]

    def seeds(self, count: int, seed: int) -> list[str]:
        rng = random.Random(f"{seed}:code")
        made = self._seeds[:count]
        while len(made) < count:
            made.append(self.mutate(rng.choice(self._seeds), rng)[0])
        return made

    def newcomer(self, rng: random.Random) -> str:
        genome = rng.choice(self._seeds)
        for _ in range(4):
            genome, _ = self.mutate(genome, rng)
        return genome

    def mutate(self, genome: str, rng: random.Random) -> tuple[str, tuple[str, ...]]:
        tree = ast.parse(genome)
        places = [node for node in ast.walk(tree) if _can_change(node)]
        if not places:
            return genome, ("mutate:nothing",)
        return _written(tree, genome, _change(rng.choice(places), rng))

    def cross(self, mother: str, father: str, rng: random.Random) -> str:
        tree, other = ast.parse(mother), ast.parse(father)
        places = _expressions(tree)
        gifts = [one for _, _, _, one in _expressions(other)]
        if not places or not gifts:
            return mother
        parent, field, at, _ = rng.choice(places)
        gift = copy.deepcopy(rng.choice(gifts))
        if at is None:
            setattr(parent, field, gift)
        else:
            getattr(parent, field)[at] = gift
        return _written(tree, mother, "")[0]

    def digest(self, genome: str) -> str:
        return hashlib.sha256(genome.encode()).hexdigest()[:16]

    def describe_difference(self, parent: str, child: str) -> str:
        lines = list(difflib.unified_diff(parent.splitlines(), child.splitlines(), lineterm="", n=2))
        return "\n".join(line for line in lines[2:] if not line.startswith("@@"))

    def dump(self, genome: str) -> Any:
        return genome

    def load(self, data: Any) -> str:
        if not isinstance(data, str) or len(data) > MAX_CHARACTERS:
            raise InvalidInput(
                f"a genome of this run is a program of at most {MAX_CHARACTERS} characters, not {str(data)[:60]!r}"
            )
        return _normal(data)


def _normal(source: str) -> str:
    try:
        return ast.unparse(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise InvalidInput(f"the program {source[:60]!r} is not Python (line {line}): correct it") from None


def _can_change(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, _OPERATORS)
    return isinstance(node, ast.Compare) and isinstance(node.ops[0], _COMPARISONS)


def _change(node: ast.AST, rng: random.Random) -> str:
    """Changes the node in place; returns the operator's name."""
    if isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        node.value = _another_number(node.value, rng)
        return "mutate:number"
    if isinstance(node, ast.BinOp):
        node.op = rng.choice([one for one in _OPERATORS if not isinstance(node.op, one)])()
        return "mutate:operator"
    assert isinstance(node, ast.Compare)
    node.ops[0] = rng.choice([one for one in _COMPARISONS if not isinstance(node.ops[0], one)])()
    return "mutate:comparison"


def _another_number(value: float, rng: random.Random) -> float:
    if isinstance(value, int):
        return value + rng.choice((-2, -1, 1, 2))
    return round(value + rng.gauss(0.0, max(0.1, abs(value) * 0.3)), 6)


def _expressions(tree: ast.AST) -> list[tuple[ast.AST, str, int | None, ast.expr]]:
    """Where an expression stands whose value is read: (parent, field, place in a list, expression)."""
    kinds = (ast.BinOp, ast.Compare, ast.Constant, ast.Call, ast.IfExp, ast.UnaryOp)
    found: list[tuple[ast.AST, str, int | None, ast.expr]] = []
    for parent in ast.walk(tree):
        if isinstance(parent, ast.JoinedStr | ast.FormattedValue | ast.Expr | ast.arguments):
            continue
        for field, value in ast.iter_fields(parent):
            if field in ("func", "targets", "target", "decorator_list", "returns", "annotation", "ops"):
                continue
            if isinstance(value, kinds):
                found.append((parent, field, None, value))
            elif isinstance(value, list):
                found += [(parent, field, at, one) for at, one in enumerate(value) if isinstance(one, kinds)]
    return found


def _written(tree: ast.AST, before: str, name: str) -> tuple[str, tuple[str, ...]]:
    """As source again; the program as it was if the result is no program."""
    try:
        text = ast.unparse(ast.fix_missing_locations(tree))
        ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, TypeError):
        return before, ("mutate:nothing",)
    return (text if len(text) <= MAX_CHARACTERS else before), (name,)
