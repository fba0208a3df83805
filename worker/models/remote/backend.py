"""A model at an OpenAI-compatible endpoint (vLLM, llama.cpp, Ollama, OpenRouter ...).

``openai:<base-url>#<model>``. Prompts made by ``chat_prompt`` go to /chat/completions as the messages
they were made of; other prompts to /completions as they are, or as one user message where the
endpoint has only chat.

Choices are scored in the best way that the endpoint offers:

1. Plain prompts: /completions with ``echo`` and ``logprobs`` gives real log-likelihoods.
2. Otherwise the model is asked for the number of the best choice. Where /chat/completions returns
   ``top_logprobs``, these are the log-probabilities of the numbers.
3. Where it does not, the answered choice gets a log-probability near 0 and the others an equal,
   very low one; an answer that names no choice prefers none. Good for choosing the best, without
   meaning as a likelihood.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from tasks.errors import HandlerError, PermanentFailure
from worker.models.jobs import Job, Unit, replied, to_failure
from worker.models.outcomes import Failed, all_there
from worker.models.protocol import Asked, Generated, GenerateItem, Grammar, Scored, ScoreItem, Usage
from worker.models.reference import ModelReference
from worker.models.remote.chatml import is_chat, read_chat, write_chat
from worker.models.remote.http import Endpoint, NotOffered
from worker.models.remote.prices import FREE, Price
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply

Task = TypeVar("Task")
Result = TypeVar("Result")

_TEXTS_PER_CALL = 64
#: Share of probability left to all choices that were not the answer.
_DOUBT = 1e-3
#: Below the least likely number that was shown.
_UNSEEN_MARGIN = 1.0


class OpenAIBackend:
    """One model at one endpoint.

    Args:
        reference: of kind OPENAI.
        endpoint: where to call, with the key.
        calls: threads in which calls wait.
        price: what it charges.
    """

    def __init__(
        self,
        reference: ModelReference,
        endpoint: Endpoint,
        calls: Executor,
        counters: Counters,
        price: Price = FREE,
    ) -> None:
        self._reference = reference
        self._endpoint = endpoint
        self._calls = calls
        self._counters = counters
        self._price = price

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        job = self._start(items, self._score, items)
        return replied(job, lambda results, usage: ScoreReply(results=tuple(results), usage=usage))

    def generate(
        self, items: Sequence[GenerateItem], listener: Callable[[int, str], None] | None = None
    ) -> Future[GenerateReply]:
        """The endpoint's answers come whole: a listener hears each at once."""
        job = self._start(items, self._generate, items, listener)
        return replied(job, lambda results, usage: GenerateReply(results=tuple(results), usage=usage))

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        parts = [texts[at : at + _TEXTS_PER_CALL] for at in range(0, len(texts), _TEXTS_PER_CALL)]
        return replied(self._start(parts, self._embed), _embed_reply)

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return write_chat(messages)

    def describe(self) -> DescribeReply:
        """The endpoint does not say which weights it serves, nor how."""
        return DescribeReply(
            model=self._reference.text, sha256="unknown", dtype="unknown", device=self._endpoint.base_url
        )

    def forget(self) -> None:
        """There is nothing to forget here."""

    @property
    def prefix_cache_bytes(self) -> int:
        return 0

    def _start(
        self,
        tasks: Sequence[Task],
        call: Callable[[Task], tuple[Result, Usage]],
        asked: Sequence[Asked] = (),
        listener: Callable[[int, str], None] | None = None,
    ) -> Job[Result]:
        job: Job[Result] = Job(len(tasks), self._counters, listener)

        def run(unit: Unit[Task, Result]) -> None:
            if unit.dropped:
                return
            started_at_s = time.perf_counter()
            try:
                result, usage = call(unit.task)
            except HandlerError as error:
                unit.fail(error)
                return
            except (KeyError, IndexError, TypeError, ValueError) as error:
                unit.fail(self._strange(error))
                return
            unit.charge(time.perf_counter() - started_at_s)
            self._counters.add(prompt_tokens=usage.prompt_tokens, generated_tokens=usage.generated_tokens)
            if isinstance(result, Generated):
                unit.tell(result.text)
            unit.end(result, usage.model_copy(update={"cost_micros": self._price.micros(usage)}))

        units = [Unit(job, index, task, asked[index] if asked else None) for index, task in enumerate(tasks)]
        for unit in sorted(units, key=lambda unit: unit.order):
            self._calls.submit(run, unit)
        return job

    def _strange(self, error: Exception) -> HandlerError:
        return PermanentFailure(
            f"the endpoint {self._endpoint.base_url} answered in a form that is not OpenAI's "
            f"({to_failure(error)}): check that it is an OpenAI-compatible server"
        )

    def _post(self, path: str, **body: Any) -> dict[str, Any]:
        return self._endpoint.post(path, {"model": self._reference.remote_model, **body})

    def _generate(self, item: GenerateItem) -> tuple[Generated, Usage]:
        settings: dict[str, Any] = {
            "max_tokens": item.max_new_tokens,
            "temperature": item.temperature,
            "top_p": item.top_p,
            "seed": item.seed,
        }
        if item.stop:
            settings["stop"] = list(item.stop)
        if item.top_k:
            settings["top_k"] = item.top_k
        if item.grammar.kind != "none":
            settings.update(_held_to(item.grammar))
        answer, text = self._complete(item.prompt, settings)
        usage = _usage(answer)
        finish = "length" if answer["choices"][0].get("finish_reason") == "length" else "stop"
        return Generated(text=text, tokens=usage.generated_tokens, finish=finish), usage

    def _complete(self, prompt: str, settings: dict[str, Any]) -> tuple[dict[str, Any], str]:
        if not is_chat(prompt):
            try:
                answer = self._post("/completions", prompt=prompt, **settings)
                return answer, str(answer["choices"][0]["text"])
            except NotOffered:
                pass  # an endpoint with chat alone: the call below says what is wrong otherwise
        answer = self._post("/chat/completions", messages=read_chat(prompt), **settings)
        return answer, str(answer["choices"][0]["message"]["content"] or "")

    def _score(self, item: ScoreItem) -> tuple[Scored, Usage]:
        if not is_chat(item.prompt):
            measured = self._measure(item)
            if measured is not None:
                return measured
        return self._ask(item)

    def _measure(self, item: ScoreItem) -> tuple[Scored, Usage] | None:
        """Real log-likelihoods, or None where the endpoint does not tell them."""
        sums, counts, usage = [], [], Usage()
        for choice in item.choices:
            try:
                answer = self._post(
                    "/completions", prompt=item.prompt + choice, max_tokens=1, temperature=0, echo=True,
                    logprobs=1,
                )  # fmt: skip
            except NotOffered:
                return None
            found = echoed_logprobs(answer, len(item.prompt), len(item.prompt) + len(choice))
            if not found:
                return None
            sums.append(sum(found))
            counts.append(len(found))
            usage += _usage(answer)
        return Scored(logprobs=tuple(sums), tokens=tuple(counts)), usage

    def _ask(self, item: ScoreItem) -> tuple[Scored, Usage]:
        """Have the model name the number of the best choice."""
        listed = "\n".join(f"{number}. {choice.strip()}" for number, choice in enumerate(item.choices, 1))
        question = (
            f"Which of these continues best?\n{listed}\n"
            f"Answer with its number alone, 1 to {len(item.choices)}."
        )
        messages = [*read_chat(item.prompt), {"role": "user", "content": question}]
        settings: dict[str, Any] = {"messages": messages, "max_tokens": 8, "temperature": 0}
        try:
            answer = self._post("/chat/completions", logprobs=True, top_logprobs=20, **settings)
        except NotOffered:
            answer = self._post("/chat/completions", **settings)
        logprobs = numbered_logprobs(answer, len(item.choices))
        return Scored(logprobs=logprobs, tokens=(1,) * len(item.choices)), _usage(answer)

    def _embed(self, texts: Sequence[str]) -> tuple[list[tuple[float, ...]], Usage]:
        answer = self._post("/embeddings", input=list(texts))
        rows = sorted(answer["data"], key=lambda row: int(row["index"]))
        if len(rows) != len(texts):
            raise ValueError(f"{len(rows)} embeddings for {len(texts)} texts")
        return [_unit_length(row["embedding"]) for row in rows], _usage(answer)


def _held_to(grammar: Grammar) -> dict[str, Any]:
    """OpenAI's own parameter for a schema, vLLM's for the others."""
    if grammar.kind == "json_schema":
        schema = {"name": "answer", "strict": True, "schema": json.loads(grammar.text)}
        return {"response_format": {"type": "json_schema", "json_schema": schema}}
    if grammar.kind == "regex":
        return {"structured_outputs": {"regex": grammar.text}}
    return {"structured_outputs": {"choice": json.loads(grammar.text)}}


def echoed_logprobs(answer: dict[str, Any], start: int, stop: int) -> list[float]:
    """Log-probabilities of the echoed tokens that begin at characters ``start`` to ``stop``."""
    told = answer["choices"][0].get("logprobs") or {}
    pairs = zip(told.get("text_offset") or [], told.get("token_logprobs") or [], strict=True)
    return [float(value) for offset, value in pairs if start <= offset < stop and value is not None]


def numbered_logprobs(answer: dict[str, Any], choices: int) -> tuple[float, ...]:
    """Log-probability of each choice from a chat answer that names a number from 1."""
    choice = answer["choices"][0]
    first = ((choice.get("logprobs") or {}).get("content") or [{}])[0]
    seen: dict[int, float] = {}
    for option in first.get("top_logprobs") or []:
        text = str(option["token"]).strip()
        if text.isdigit() and 1 <= int(text) <= choices:
            seen[int(text)] = max(float(option["logprob"]), seen.get(int(text), -math.inf))
    # A first token "1" may begin "12": above nine choices only the whole answer tells.
    if seen and choices <= 9:
        unseen = min(seen.values()) - _UNSEEN_MARGIN
        return tuple(seen.get(number, unseen) for number in range(1, choices + 1))
    named = re.search(r"\d+", str(choice["message"]["content"] or ""))
    if named is None or not 1 <= int(named[0]) <= choices:
        return (-math.log(choices),) * choices
    others = math.log(_DOUBT / (choices - 1))
    return tuple(
        math.log(1 - _DOUBT) if number == int(named[0]) else others for number in range(1, choices + 1)
    )


def _usage(answer: dict[str, Any]) -> Usage:
    told = answer.get("usage") or {}
    return Usage(
        prompt_tokens=int(told.get("prompt_tokens") or 0),
        generated_tokens=int(told.get("completion_tokens") or 0),
    )


def _embed_reply(parts: Sequence[list[tuple[float, ...]] | Failed], usage: Usage) -> EmbedReply:
    return EmbedReply(vectors=tuple(vector for part in all_there(parts) for vector in part), usage=usage)


def _unit_length(vector: Sequence[float]) -> tuple[float, ...]:
    length = math.sqrt(sum(value * value for value in vector))
    if not length:
        raise ValueError("an embedding of zeros")
    return tuple(value / length for value in vector)
