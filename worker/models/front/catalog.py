"""Which models a door of the server answers for."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import PermanentFailure
from worker.models.backend import Backend
from worker.models.outcomes import Rejected
from worker.models.reference import parse_reference
from worker.models.registry import Purpose, Registry


class UnknownModel(Rejected):
    """This door answers for no model of this name."""


class Catalog:
    """The registry as one door shows it.

    Args:
        registry: has the models.
        names: the references that are always offered: the defaults, and what the owner named.
        closed: nothing else than these and what is loaded already. Who comes over the network must
            not make the server read folders or call addresses of their choice.
    """

    def __init__(self, registry: Registry, names: Sequence[str], *, closed: bool) -> None:
        self._registry = registry
        self._names = tuple(dict.fromkeys(names))
        self._closed = closed

    def backend(self, reference: str, purpose: Purpose) -> Backend:
        """As the registry's; "" is the default. ``UnknownModel`` where this door does not offer it."""
        if self._closed and reference and reference not in self.offered():
            raise UnknownModel(
                f"the model {reference!r} is not offered over the network: GET /v1/models lists what is; its "
                "owner adds one by starting the server with --http-model"
            )
        return self._registry.backend(reference, purpose)

    def find(self, reference: str, purpose: Purpose) -> Backend:
        """As ``backend``, where all that is permanently wrong with a name is ``UnknownModel``."""
        try:
            return self.backend(reference, purpose)
        except UnknownModel:
            raise
        except PermanentFailure as error:
            raise UnknownModel(str(error)) from error

    def offered(self) -> tuple[str, ...]:
        """References that are certain to be answered for."""
        return tuple(dict.fromkeys((*self._names, *self.loaded())))

    def loaded(self) -> tuple[str, ...]:
        return self._registry.loaded()

    def prefix_cache_bytes(self) -> int:
        return self._registry.prefix_cache_bytes()

    def forget(self) -> None:
        self._registry.forget()


def checked(references: Sequence[str]) -> tuple[str, ...]:
    """The references in the form in which loaded models are listed; raises for one that is none."""
    return tuple(parse_reference(reference).text for reference in references)
