"""Files of ``d8 darwin``: looked at before anything is sent, written whole or not at all."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from master.cli.base import Api


def read_file(path: Path, most: int) -> bytes:
    """At most one byte more than is allowed, which shows that there are too many, even of an endless device."""
    from tasks.errors import InvalidInput

    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be read ({error.strerror}): give the path of a JSONL or CSV file, or of a Python program"
        ) from None


def checked_environment(path: Path) -> bytes:
    """The program, if it can be one."""
    from master.darwin.environment import MAX_BYTES, read_environment

    data = read_file(path, MAX_BYTES)
    read_environment(data, str(path))
    return data


def checked_examples(
    path: Path,
    task: str,
    input_column: str,
    expected: tuple[str, ...],
    split_column: str,
    schema: Path | None,
    seed: int,
) -> tuple[dict[str, Any], bytes]:
    """Params of the data set and its bytes, after the same checks that the run will make."""
    from master.darwin.columns import Reading
    from master.darwin.dataset import MAX_BYTES, parse
    from master.darwin.split import divide
    from tasks.darwin_genome import KINDS
    from tasks.errors import InvalidInput

    if task not in KINDS:
        raise InvalidInput(f"there is no task {task!r}: take {', '.join(KINDS)}")
    text = read_file(schema, 50_000).decode() if schema is not None else ""
    reading = Reading(kind=task, input=input_column, expected=expected, split=split_column, json_schema=text)
    data = read_file(path, MAX_BYTES)
    divide(parse(data, str(path), reading), seed)
    params = {
        "task": task,
        "input_column": input_column,
        "expected_columns": expected,
        "split_column": split_column,
        "json_schema": text,
    }
    return params, data


def metric_of(api: Api, metric: str, task: str, trusted: bool) -> dict[str, Any]:
    """The metric for a run's params; a file of one's own is looked at and uploaded."""
    from master.darwin.metric_source import MAX_BYTES, check_metric_source
    from master.darwin.metrics import metric_name
    from tasks.darwin_genome import Kind

    if not metric.endswith(".py"):
        return {"name": metric_name(metric, cast("Kind", task))}
    path = Path(metric)
    data = read_file(path, MAX_BYTES)
    check_metric_source(data, metric)
    return {
        "name": "own",
        "source": api.upload(path.name, data, "text/x-python"),
        "trusted": trusted,
    }


def end_of(until: str) -> str | None:
    """The time at which it is to end, with its zone; None where none was given."""
    from tasks.errors import InvalidInput

    if not until:
        return None
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        raise InvalidInput(f"--until {until!r} is not a time: write it like 2026-12-01T07:00+01:00") from None
    return moment.astimezone().isoformat()


def write_whole(path: Path, data: bytes) -> None:
    """The file whole or not at all. ``InvalidInput`` if it cannot be written."""
    import os
    import tempfile

    from tasks.errors import InvalidInput

    try:
        handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(scratch, path)
        except OSError:
            Path(scratch).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written ({error.strerror}): name a file in a folder that is there, on a disk "
            "with room"
        ) from None
