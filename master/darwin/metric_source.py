"""The owner's own metric, looked at before anything runs: what a person would otherwise learn after an
hour. Nothing of it is executed here. Pure."""

from __future__ import annotations

import ast

from tasks.errors import InvalidInput

MAX_BYTES = 200_000
_SHAPE = "def metric(expected, answer): return 1.0 if answer == expected else 0.0"


def check_metric_source(data: bytes, name: str) -> str:
    """The source, if it can be a metric; every refusal names the file, the line and the remedy."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"{name} has {len(data)} bytes and a metric may have {MAX_BYTES}: keep data out of it"
        )
    try:
        source = data.decode("utf-8")
        tree = ast.parse(source, filename=name)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{name}:{line}: not valid UTF-8: save the file as UTF-8") from None
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        said = getattr(error, "msg", str(error))
        raise InvalidInput(f"{name}:{line}: not Python: {said}; a metric looks like '{_SHAPE}'") from None
    _check_function(tree, name)
    return source


def _check_function(tree: ast.Module, name: str) -> None:
    found = [one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    metrics = [one for one in found if one.name == "metric"]
    if not metrics:
        others = f" (it has {', '.join(one.name for one in found)})" if found else ""
        raise InvalidInput(f"{name} defines no function 'metric'{others}: write '{_SHAPE}'")
    metric = metrics[-1]
    if isinstance(metric, ast.AsyncFunctionDef):
        raise InvalidInput(f"{name}:{metric.lineno}: metric is 'async': write it with 'def' alone")
    arguments = metric.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = len(positional) - len(arguments.defaults)
    wanted_by_name = [
        one.arg
        for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    if required > 2 or (len(positional) < 2 and arguments.vararg is None) or wanted_by_name:
        names = [one.arg for one in positional] + wanted_by_name
        raise InvalidInput(
            f"{name}:{metric.lineno}: metric takes ({', '.join(names)}) and is called with two values, what was "
            f"expected and the answer: write '{_SHAPE}'"
        )
    if not any(isinstance(one, ast.Return) and one.value is not None for one in ast.walk(metric)):
        raise InvalidInput(
            f"{name}:{metric.lineno}: metric returns nothing: return a number from 0 (wrong) to 1 (right)"
        )
