"""Which flows there are. A flow registers itself when its module is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasks.errors import NotFound
from tasks.record import Record

if TYPE_CHECKING:
    from master.flows.context import FlowContext

Function = Callable[["FlowContext", Any], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Flow:
    name: str
    params: type[Record]
    function: Function


_FLOWS: dict[str, Flow] = {}


def flow(name: str, *, params: type[Record]) -> Callable[[Function], Function]:
    """Register a flow under ``name``. The function takes the context and its params, returns a
    small JSON object, and is run again from the top whenever something it waits for has ended."""

    def register(function: Function) -> Function:
        if name in _FLOWS and _FLOWS[name].function is not function:
            raise ValueError(f"two flows are called {name!r}: {_FLOWS[name].function} and {function}")
        _FLOWS[name] = Flow(name=name, params=params, function=function)
        return function

    return register


def get_flow(name: str) -> Flow:
    """The flow of this name; ``NotFound`` names the ones that exist."""
    try:
        return _FLOWS[name]
    except KeyError:
        raise NotFound(f"no flow is called {name!r}: this master knows {', '.join(sorted(_FLOWS))}") from None


def list_flows() -> list[Flow]:
    """Those that there are, by name."""
    return [_FLOWS[name] for name in sorted(_FLOWS)]
