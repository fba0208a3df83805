"""Model references: the one string by which a step, a setting or a person names a model."""

from __future__ import annotations

import dataclasses
import enum
import re
from pathlib import Path
from urllib.parse import urlsplit

from tasks.errors import PermanentFailure

#: The embedded defaults, used where the reference is "".
DEFAULT_TEXT_MODEL = "embedded:smollm2"
DEFAULT_EMBEDDING_MODEL = "embedded:minilm"

EMBEDDED_NAMES = ("smollm2", "minilm")

#: Before a local model's reference: transformers batches its requests, not this server's own engine.
BATCHING_SCHEME = "transformers"

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")

_FORMS = (
    "write embedded:smollm2, embedded:minilm, /path/to/a/folder, /path/to/a/file.gguf, owner/name "
    "(Hugging Face), openai:<base-url>#<model>, transformers:<an embedded or local one> or fake:"
)


class ReferenceKind(enum.Enum):
    EMBEDDED = "embedded"
    FOLDER = "folder"
    GGUF = "gguf"
    HUB = "hub"
    OPENAI = "openai"
    BATCHING = "batching"
    FAKE = "fake"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelReference:
    """A parsed reference. ``target`` is what its kind needs: a name, a path, a base URL, a reference."""

    text: str
    kind: ReferenceKind
    target: str
    #: The model's name at an OpenAI-compatible endpoint; "" for other kinds.
    remote_model: str = ""


def parse_reference(text: str) -> ModelReference:
    """What ``text`` names. ``PermanentFailure`` says which forms there are."""
    scheme, _, rest = text.partition(":")
    if scheme == "embedded":
        return _embedded(text, rest)
    if scheme == "openai":
        return _openai(text, rest)
    if scheme == BATCHING_SCHEME:
        return _batching(text, rest)
    if scheme == "fake":
        return ModelReference(text=text, kind=ReferenceKind.FAKE, target=rest)
    if text.startswith(("/", "./", "../", "~")):
        kind = ReferenceKind.GGUF if text.endswith(".gguf") else ReferenceKind.FOLDER
        return ModelReference(text=text, kind=kind, target=str(Path(text).expanduser()))
    if _HUB_NAME.fullmatch(text):
        return ModelReference(text=text, kind=ReferenceKind.HUB, target=text)
    raise PermanentFailure(f"{text!r} is not a model reference: {_FORMS}")


def _embedded(text: str, name: str) -> ModelReference:
    if name not in EMBEDDED_NAMES:
        raise PermanentFailure(
            f"no embedded model is called {name!r} (in {text!r}): there are {', '.join(EMBEDDED_NAMES)}"
        )
    return ModelReference(text=text, kind=ReferenceKind.EMBEDDED, target=name)


def _batching(text: str, rest: str) -> ModelReference:
    nested = rest.startswith(f"{BATCHING_SCHEME}:")
    local = (ReferenceKind.EMBEDDED, ReferenceKind.FOLDER, ReferenceKind.GGUF)
    if nested or parse_reference(rest).kind not in local:
        raise PermanentFailure(
            f"{text!r} does not name a model on this machine: write transformers:embedded:smollm2, "
            "transformers:/path/to/a/folder or transformers:/path/to/a/file.gguf"
        )
    return ModelReference(text=text, kind=ReferenceKind.BATCHING, target=rest)


def _openai(text: str, rest: str) -> ModelReference:
    url, _, model = rest.partition("#")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not model:
        raise PermanentFailure(
            f"{text!r} does not name an endpoint and a model: write openai:<base-url>#<model>, "
            "for example openai:http://127.0.0.1:11434/v1#qwen3"
        )
    if parts.username or parts.password:
        raise PermanentFailure(
            "a model reference must not carry a password, for it is recorded and logged: put the key "
            "into the environment variable D8_OPENAI_API_KEY and write the URL without it"
        )
    return ModelReference(text=text, kind=ReferenceKind.OPENAI, target=url.rstrip("/"), remote_model=model)
