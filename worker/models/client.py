"""The handlers' side of the model server: no Torch, only JSON over a Unix socket."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from tasks.errors import PermanentFailure, TransientFailure
from tasks.record import Record
from worker.models.outcomes import Failed, all_there, as_error
from worker.models.protocol import Generated, GenerateItem, Scored, ScoreItem, Usage
from worker.models.unix_http import exchange, stream_lines
from worker.models.used import UsedModels
from worker.models.wire import (
    PERMANENT_STATUS,
    TRANSIENT_STATUS,
    ChatPromptReply,
    ChatPromptRequest,
    DescribeReply,
    DescribeRequest,
    EmbedReply,
    EmbedRequest,
    GenerateReply,
    GenerateRequest,
    Health,
    Part,
    Refusal,
    ScoreReply,
    ScoreRequest,
)

Reply = TypeVar("Reply", bound=Record)
Item = TypeVar("Item")

#: Items of one message: enough to fill batches, few enough that an answer is never far away.
ITEMS_PER_MESSAGE = 256
#: Text of one message, in characters.
CHARACTERS_PER_MESSAGE = 2_000_000
#: How often one request is sent again after the server died while it held it. A request that
#: kills the server would otherwise kill every one that is started.
MAX_RESENDS = 3

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0


class Waits(Protocol):
    """The clock and the sleep that the client waits by; ``time`` has both."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class ModelClient:
    """Implements ``Models`` over the Unix socket of this machine's model server.

    While the server is being (re)started the same request is sent again, for up to
    ``restart_wait_s``: every request is idempotent. Safe to share between threads and across forks.

    Args:
        socket_path: where the server listens.
        timeout_s: longest wait for one answer, model loading and queueing included.
        restart_wait_s: longest wait for a server that does not listen.
        waits: the clock and sleep; a fake in tests.
    """

    def __init__(
        self,
        socket_path: Path,
        *,
        timeout_s: float = 600.0,
        restart_wait_s: float = 90.0,
        waits: Waits = time,
    ) -> None:
        self._socket_path = socket_path
        self._timeout_s = timeout_s
        self._restart_wait_s = restart_wait_s
        self._waits = waits
        self._usage = Usage()
        self._usage_lock = threading.Lock()
        self._used = UsedModels(socket_path)

    @property
    def usage(self) -> Usage:
        """Summed over all calls made through this object."""
        return self._usage

    def score(self, model: str, items: Sequence[ScoreItem]) -> list[Scored]:
        self._used.note(model)
        results: list[Scored] = []
        for part in split_items(items, _score_size):
            reply = self._post("/score", ScoreRequest(model=model, items=tuple(part)), ScoreReply)
            self._add(reply.usage)
            results.extend(all_there(reply.results))
        return results

    def generate(self, model: str, items: Sequence[GenerateItem]) -> list[Generated]:
        return all_there(self.generate_each(model, items))

    def generate_each(self, model: str, items: Sequence[GenerateItem]) -> list[Generated | Failed]:
        """As ``generate``, where an item that fails costs the others nothing."""
        self._used.note(model)
        results: list[Generated | Failed] = []
        for part in split_items(items, lambda item: len(item.prompt)):
            reply = self._post("/generate", GenerateRequest(model=model, items=tuple(part)), GenerateReply)
            self._add(reply.usage)
            results.extend(reply.results)
        return results

    def stream(self, model: str, item: GenerateItem) -> Iterator[str | Generated]:
        """Parts of the text as they come, and the whole at last. Closing the iterator gives it up.

        A server that goes away in the middle is a ``TransientFailure``: the parts that were seen cannot
        be unsaid. Before the first part it is asked again, as any request is.
        """
        self._used.note(model)
        request = GenerateRequest(model=model, items=(item,), stream=True)
        self.health()  # waits for a server
        try:
            for status, line in stream_lines(
                self._socket_path, "/generate", request.model_dump_json(), timeout_s=self._timeout_s
            ):
                if status == 200 and "results" not in line:
                    yield Part.model_validate(line).text
                    continue
                reply = _read("/generate", status, line, GenerateReply)
                self._add(reply.usage)
                yield from all_there(reply.results)
                return
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise TransientFailure(
                f"the model server at {self._socket_path} went away in the middle of a text ({error!r}): ask again"
            ) from error
        raise TransientFailure(
            f"the model server at {self._socket_path} ended a text without its end: ask again"
        )

    def embed(self, model: str, texts: Sequence[str]) -> list[list[float]]:
        if model:  # "" would be described as the default text model
            self._used.note(model)
        vectors: list[list[float]] = []
        for part in split_items(texts, len):
            reply = self._post("/embed", EmbedRequest(model=model, texts=tuple(part)), EmbedReply)
            self._add(reply.usage)
            vectors.extend(list(vector) for vector in reply.vectors)
        return vectors

    def chat_prompt(self, model: str, messages: Sequence[tuple[str, str]]) -> str:
        request = ChatPromptRequest(model=model, messages=tuple(messages))
        return self._post("/chat_prompt", request, ChatPromptReply).prompt

    def describe(self, model: str) -> dict[str, str]:
        reply = self._post("/describe", DescribeRequest(model=model), DescribeReply)
        self._used.keep(model, reply)
        answer: dict[str, str] = reply.model_dump()
        return answer

    def describe_used(self) -> list[dict[str, str]]:
        """What the models that were asked through this object are; "" for what the server does not say
        within a moment. Never raises."""
        return self._used.describe()

    def forget_prefixes(self) -> None:
        """Have the server drop what it keeps of earlier prompts: for measurements, and to get memory back."""
        self._exchange("POST", "/forget", "{}", Health)

    def health(self) -> Health:
        """The server's state and counters, waiting for it as for any request."""
        return self._exchange("GET", "/health", "", Health)

    def _post(self, path: str, request: Record, reply: type[Reply]) -> Reply:
        return self._exchange("POST", path, request.model_dump_json(), reply)

    def _exchange(self, method: str, path: str, body: str, reply: type[Reply]) -> Reply:
        gave_up_at_s = self._waits.monotonic() + self._restart_wait_s
        pause_s, deaths = _FIRST_PAUSE_S, 0
        while True:
            try:
                status, answer = exchange(self._socket_path, method, path, body, timeout_s=self._timeout_s)
                return _read(path, status, answer, reply)
            except TimeoutError as error:
                raise TransientFailure(
                    f"the model server at {self._socket_path} did not answer {path} within "
                    f"{self._timeout_s:g} s: it is overloaded or stuck; see its log file"
                ) from error
            except (FileNotFoundError, ConnectionRefusedError) as error:
                problem: Exception = error
            except (OSError, http.client.HTTPException, ValueError) as error:
                problem = error
                deaths += 1
                gave_up_at_s = self._waits.monotonic() + self._restart_wait_s
            self._check_patience(path, problem, deaths, gave_up_at_s)
            self._waits.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _check_patience(self, path: str, problem: Exception, deaths: int, gave_up_at_s: float) -> None:
        if deaths > MAX_RESENDS:
            raise TransientFailure(
                f"the model server at {self._socket_path} went away {deaths} times while it answered "
                f"{path} ({problem!r}): the request may be what kills it, for example by using up "
                "memory; see its log file"
            ) from problem
        if self._waits.monotonic() >= gave_up_at_s:
            raise TransientFailure(
                f"no model server answers at {self._socket_path} ({problem!r}), and none came back "
                f"within {self._restart_wait_s:g} s: see its log file, and that the worker that starts "
                "it is running"
            ) from problem

    def _add(self, usage: Usage) -> None:
        with self._usage_lock:
            self._usage += usage


def split_items(items: Sequence[Item], size: Callable[[Item], int]) -> Iterator[Sequence[Item]]:
    """``items`` in order, in parts that one message can carry; none for an empty list."""
    start = characters = 0
    for index, item in enumerate(items):
        item_size = size(item)
        full = index - start >= ITEMS_PER_MESSAGE or characters + item_size > CHARACTERS_PER_MESSAGE
        if full and index > start:
            yield items[start:index]
            start, characters = index, 0
        characters += item_size
    if start < len(items):
        yield items[start:]


def _score_size(item: ScoreItem) -> int:
    return len(item.prompt) + sum(len(choice) for choice in item.choices)


def _read(path: str, status: int, answer: dict[str, Any], reply: type[Reply]) -> Reply:
    if status in (PERMANENT_STATUS, TRANSIENT_STATUS):
        told = Refusal.model_validate(answer)
        raise as_error(Failed(outcome=told.outcome, transient=told.kind == "transient", message=told.message))
    try:
        return reply.model_validate(answer)
    except ValidationError as error:
        raise PermanentFailure(
            f"the model server answered {path} with status {status} and a message that this build does "
            f"not know: restart the worker, so that it replaces the server ({error})"
        ) from error
