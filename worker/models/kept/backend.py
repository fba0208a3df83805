"""A backend whose answers are kept: what was asked before is not computed again."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from worker.models.backend import Backend, Ending
from worker.models.jobs import Job, replied, to_failure
from worker.models.kept.flights import NO_KEY, Call, Flight, Flights, Wanted
from worker.models.kept.forms import EMBED, GENERATE, SCORE, Answer, Item, Kind, Vector
from worker.models.kept.keys import Answerer, Keys
from worker.models.kept.store import AnswerStore
from worker.models.outcomes import Failed, GivenUp, all_there, failed
from worker.models.protocol import Asked, Generated, GenerateItem, Scored, ScoreItem, Usage
from worker.models.stats import Counters
from worker.models.wire import DescribeReply, EmbedReply, GenerateReply, ScoreReply

Reply = TypeVar("Reply", bound=ScoreReply | GenerateReply | EmbedReply)
Listener = Callable[[int, str], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Way(Generic[Item, Answer, Reply]):
    """How one kind of question is put to the inner backend."""

    kind: Kind[Item, Answer]
    ask: Callable[[Sequence[Item], Listener | None], Future[Reply]]
    read: Callable[[Reply], Sequence[Answer | Failed]]
    write: Callable[[Sequence[Answer | Failed], Usage], Reply]


class KeptBackend:
    """Answers from the store what it can, and has ``inner`` compute the rest.

    Only for a backend that answers equal questions alike. What it computes it also counts; here only
    those items are counted that it does not hear of. A call may wait for a shared store, a moment at most.

    Args:
        inner: computes.
        answerer: what ``inner`` is.
        store: keeps the answers.
        counters: the server's.
    """

    def __init__(
        self,
        inner: Backend,
        answerer: Answerer,
        store: AnswerStore,
        counters: Counters,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        keys = Keys(answerer)
        scores: _Way[ScoreItem, Scored, ScoreReply] = _Way(
            kind=SCORE,
            ask=lambda items, _: inner.score(items),
            read=lambda reply: reply.results,
            write=lambda results, usage: ScoreReply(results=tuple(results), usage=usage),
        )
        texts: _Way[GenerateItem, Generated, GenerateReply] = _Way(
            kind=GENERATE,
            ask=inner.generate,
            read=lambda reply: reply.results,
            write=lambda results, usage: GenerateReply(results=tuple(results), usage=usage),
        )
        vectors: _Way[str, Vector, EmbedReply] = _Way(
            kind=EMBED,
            ask=lambda items, _: inner.embed(items),
            read=lambda reply: reply.vectors,
            write=lambda results, usage: EmbedReply(vectors=tuple(all_there(results)), usage=usage),
        )
        self._scores = _Desk(scores, keys, store, counters, clock)
        self._texts = _Desk(texts, keys, store, counters, clock)
        self._vectors = _Desk(vectors, keys, store, counters, clock)

    def score(self, items: Sequence[ScoreItem]) -> Future[ScoreReply]:
        return self._scores.ask(items)

    def generate(
        self, items: Sequence[GenerateItem], listener: Listener | None = None
    ) -> Future[GenerateReply]:
        """``listener`` hears a kept text as one part."""
        return self._texts.ask(items, listener)

    def embed(self, texts: Sequence[str]) -> Future[EmbedReply]:
        return self._vectors.ask(texts)

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> str:
        return self._inner.chat_prompt(messages)

    def describe(self) -> DescribeReply:
        return self._inner.describe()

    def forget(self) -> None:
        """Drop computed prefixes. The store is all models' and forgets for itself."""
        self._inner.forget()

    @property
    def prefix_cache_bytes(self) -> int:
        return self._inner.prefix_cache_bytes

    def retire(self) -> None:
        if isinstance(self._inner, Ending):
            self._inner.retire()

    def stop(self) -> None:
        if isinstance(self._inner, Ending):
            self._inner.stop()


class _Desk(Generic[Item, Answer, Reply]):
    """Where one kind of question is taken."""

    def __init__(
        self,
        way: _Way[Item, Answer, Reply],
        keys: Keys,
        store: AnswerStore,
        counters: Counters,
        clock: Callable[[], float],
    ) -> None:
        self._way: _Way[Item, Answer, Reply] = way
        self._keys = keys
        self._store = store
        self._clock = clock
        self._flights: Flights[Answer] = Flights(counters, store.find)
        #: For jobs that are only put together here: who computes their items counts them.
        self._uncounted = Counters()

    def ask(self, items: Sequence[Item], listener: Listener | None = None) -> Future[Reply]:
        asked = [_asked(item) for item in items]
        if all(one.fresh for one in asked):
            return self._way.ask(items, listener)
        job: Job[Answer] = Job(len(items), self._uncounted, listener, self._clock)
        reply = replied(job, self._way.write)
        boarded, call, landed = self._flights.board(job, self._without_kept(job, items, asked))
        for index, answer in landed:
            self._answer(job, index, answer)
        job.future.add_done_callback(
            lambda done: self._flights.leave(job, boarded) if done.cancelled() else None
        )
        if call.flights:
            self._start(call, items, listens=listener is not None)
        return reply

    def _without_kept(self, job: Job[Answer], items: Sequence[Item], asked: Sequence[Asked]) -> list[Wanted]:
        """Answer what is kept; returns the rest."""
        keys = [
            NO_KEY if one.fresh else self._keys.of(self._way.kind.name, item)
            for item, one in zip(items, asked, strict=True)
        ]
        by_key = {key: item for key, item in zip(keys, items, strict=True) if key != NO_KEY}
        kept = self._store.find_many(self._way.kind, by_key)
        wanted = []
        for index, key in enumerate(keys):
            if key in kept:
                self._answer(job, index, kept[key])
            else:
                wanted.append(Wanted(index=index, key=key, asked=asked[index]))
        return wanted

    def _answer(self, job: Job[Answer], index: int, answer: Answer) -> None:
        if job.listener is not None and isinstance(answer, Generated) and answer.text:
            job.listener(index, answer.text)
        self._flights.settle_kept(job, index, answer)

    def _start(self, call: Call[Answer], items: Sequence[Item], *, listens: bool) -> None:
        flights = call.flights

        def hear(number: int, text: str) -> None:
            self._flights.tell(flights[number], text)

        try:
            future = self._way.ask([items[one.wanted.index] for one in flights], hear if listens else None)
        except Exception as error:
            # This client hears of it at once; who has joined meanwhile must hear of it as well.
            self._flights.land(call, _all_failed(flights, error), Usage())
            raise
        call.future = future
        future.add_done_callback(lambda done: self._land(call, done))

    def _land(self, call: Call[Answer], done: Future[Reply]) -> None:
        results, usage = self._outcome(call.flights, done)
        try:
            good = {
                flight.wanted.key: result
                for flight, result in zip(call.flights, results, strict=True)
                if flight.wanted.key != NO_KEY and not isinstance(result, Failed)
            }
            # Before it lands: who does not find it on its way anymore finds it there.
            self._store.keep(self._way.kind, good)
        finally:
            self._flights.land(call, results, usage)

    def _outcome(
        self, flights: Sequence[Flight[Answer]], done: Future[Reply]
    ) -> tuple[Sequence[Answer | Failed], Usage]:
        if done.cancelled():
            return _all_failed(flights, GivenUp("its computation was given up: ask again")), Usage()
        error = done.exception()
        if error is not None:
            return _all_failed(flights, error), Usage()
        reply = done.result()
        return self._way.read(reply), reply.usage


def _asked(item: Any) -> Asked:
    """Texts to embed are asked for without further wishes."""
    return item if isinstance(item, Asked) else _NO_WISHES


_NO_WISHES = Asked()


def _all_failed(flights: Sequence[Any], error: BaseException) -> list[Failed]:
    told = failed(to_failure(error if isinstance(error, Exception) else Exception(str(error))))
    return [told] * len(flights)
