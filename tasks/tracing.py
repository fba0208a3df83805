"""Traces of steps, for who has an OpenTelemetry collector. Off unless ``D8_OTEL_ENDPOINT`` says where it is.

A step is one trace across master, worker and sandbox. Its id is computed from the run's and the step's, and so
is that of each attempt: nobody has to carry a context, the claim's grant says which step it is, and a trace is
the same after any restart. Spans tell ids, names and times, and never what is in a payload.

Nothing of OpenTelemetry is imported until a tracer is made. It reads the standard variables itself
(``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_RESOURCE_ATTRIBUTES`` and so on):
https://opentelemetry.io/docs/specs/otel/protocol/exporter
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tasks.errors import InvalidInput, Unhealthy

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import SpanProcessor

_INSTALL = ".venv/bin/pip install --require-hashes -r requirements/otel.lock"

Value = str | int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Moment:
    """Something that happened at one time within a span."""

    name: str
    at_ns: int
    attributes: Mapping[str, Value] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Span:
    """What took how long, as part of which trace. Times are nanoseconds since the epoch."""

    name: str
    #: 128 bits.
    trace: int
    #: 64 bits.
    id: int
    #: 0 for the step itself.
    parent: int
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, Value]
    failed: bool = False
    moments: Sequence[Moment] = ()


def trace_of(run: str, step: int) -> int:
    """The trace of a step: the same for everybody who knows it."""
    return _number(f"trace {run} {step}", 16)


def span_of(kind: str, run: str, step: int, attempt: int = 0) -> int:
    """``step``, or an attempt's ``queued`` and ``attempt``."""
    return _number(f"{kind} {run} {step} {attempt}", 8)


def _number(text: str, length: int) -> int:
    # Zero is no id: https://www.w3.org/TR/trace-context/#trace-id
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:length], "big") or 1


def nanoseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000) * 1000


class Tracer:
    """Sends spans from a thread of its own; a collector that is away delays nobody, and what does not fit into
    the queue is dropped."""

    def __init__(self, processor: SpanProcessor, resource: Resource) -> None:
        self._processor = processor
        self._resource = resource

    def emit(self, span: Span) -> None:
        from opentelemetry.sdk.trace import Event, ReadableSpan
        from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

        def context(span_id: int) -> SpanContext:
            return SpanContext(span.trace, span_id, False, TraceFlags(TraceFlags.SAMPLED))

        self._processor.on_end(
            ReadableSpan(
                span.name,
                context=context(span.id),
                parent=context(span.parent) if span.parent else None,
                resource=self._resource,
                attributes=dict(span.attributes),
                events=[Event(each.name, dict(each.attributes), each.at_ns) for each in span.moments],
                status=Status(StatusCode.ERROR if span.failed else StatusCode.OK),
                start_time=span.started_ns,
                end_time=span.ended_ns,
            )
        )

    def flush(self, timeout_s: float) -> bool:
        """Send what is waiting; False when that took too long."""
        return bool(self._processor.force_flush(int(timeout_s * 1000)))

    def close(self) -> None:
        self._processor.shutdown()


def check_tracing(endpoint: str) -> None:
    """``InvalidInput`` when the endpoint is no address, ``Unhealthy`` when OpenTelemetry is not installed. Nothing
    is asked for without an endpoint."""
    if not endpoint:
        return
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInput(
            "D8_OTEL_ENDPOINT is not the address of a collector: it looks like http://collector:4318 (OTLP over HTTP)"
        )
    for needed in ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"):
        if not _is_installed(needed):
            raise Unhealthy(
                f"D8_OTEL_ENDPOINT is set and OpenTelemetry is not installed here ({needed} is missing): install "
                f"it with '{_INSTALL}', or unset D8_OTEL_ENDPOINT"
            )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def make_tracer(endpoint: str, service: str, **attributes: str) -> Tracer:
    """``endpoint``: of a collector that speaks OTLP over HTTP (``http://collector:4318``). Errors as ``check_tracing``
    says."""
    check_tracing(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    url = endpoint.rstrip("/")
    url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: service}
    return Tracer(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=url)), Resource.create({**named, **attributes})
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Place:
    emit: Callable[[Span], None]
    trace: int
    parent: int


_place: ContextVar[_Place | None] = ContextVar("d8_trace_place", default=None)


@contextlib.contextmanager
def traced_attempt(tracer: Tracer | None, run: str, step: int, attempt: int) -> Iterator[None]:
    """What is ``traced`` within belongs to this attempt. Nothing without a tracer."""
    if tracer is None:
        yield
        return
    place = _Place(emit=tracer.emit, trace=trace_of(run, step), parent=span_of("attempt", run, step, attempt))
    mark = _place.set(place)
    try:
        yield
    finally:
        _place.reset(mark)


@contextlib.contextmanager
def traced(name: str, **attributes: Value) -> Iterator[dict[str, Any]]:
    """A span around what is within, where a trace is kept; what is put into the given dictionary becomes
    attributes. One that raises, or puts ``error``, has failed; the error's text is not told."""
    place = _place.get()
    found: dict[str, Any] = dict(attributes)
    if place is None:
        yield found
        return
    span_id, started_ns = secrets.randbits(64) or 1, time.time_ns()
    mark = _place.set(dataclasses.replace(place, parent=span_id))
    try:
        yield found
    except BaseException as error:
        found["error"] = type(error).__name__
        raise
    finally:
        _place.reset(mark)
        span = Span(
            name=name,
            trace=place.trace,
            id=span_id,
            parent=place.parent,
            started_ns=started_ns,
            ended_ns=time.time_ns(),
            attributes={f"d8.{each}": value for each, value in found.items()},
            failed="error" in found,
        )
        place.emit(span)
