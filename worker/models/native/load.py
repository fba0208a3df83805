"""Loading models with transformers: dtype, device, and a GGUF file turned into safetensors once."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, GgufConfig

from tasks.errors import PermanentFailure
from worker.models.artifacts import ModelFiles, folder_files, is_causal
from worker.models.native.causal import CPU_BUDGET, GPU_BUDGET, CausalModel, key_value_shape
from worker.models.native.decoder import LlamaDecoder
from worker.models.native.linear import packed
from worker.models.native.sentence import SentenceModel
from worker.models.native.sharing import DecoderType, share, try_sharing
from worker.models.native.text import Text

log = logging.getLogger(__name__)

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_SENTENCE_NEW_TOKENS = {"cpu": 4096, "cuda": 65_536}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Placement:
    """Where and in which precision models compute."""

    device: torch.device
    dtype: torch.dtype

    @property
    def dtype_name(self) -> str:
        return str(self.dtype).removeprefix("torch.")


def choose_placement(dtype: str) -> Placement:
    """``dtype`` is float32, bfloat16, float16, or auto: bfloat16 where the hardware multiplies it."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if dtype != "auto":
        return Placement(device=device, dtype=_DTYPES[dtype])
    abilities = torch.cpu.get_capabilities()
    fast = abilities.get("amx_bf16") or abilities.get("avx512_bf16") or device.type == "cuda"
    return Placement(device=device, dtype=torch.bfloat16 if fast else torch.float32)


def ready_folder(files: ModelFiles, cache_folder: Path) -> Path:
    """A folder of safetensors for these files; a GGUF file is converted the first time."""
    if not files.is_gguf:
        return files.path
    target = cache_folder / f"{files.path.stem}-{files.sha256[:16]}"
    if not (target / "config.json").is_file():
        _convert(files.path, target)
    return target


@dataclasses.dataclass
class Known:
    """What was found out about a model and its dtype, so that loading it again takes less."""

    text: Text | None = None
    decoder: DecoderType | None = None


def load_causal(folder: Path, placement: Placement, known: Known) -> CausalModel:
    """A causal language model from a folder of safetensors, ready to compute.

    Whether it can run as rows that share prefixes is tried out here, the first time.
    """
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=placement.dtype, use_safetensors=True, local_files_only=True
    )
    if known.text is None:
        context_tokens = int(model.config.get_text_config().max_position_embeddings)
        known.text = Text(AutoTokenizer.from_pretrained(folder, local_files_only=True), context_tokens)
    model = _placed(model, placement)
    whole = GPU_BUDGET if placement.device.type == "cuda" else CPU_BUDGET
    budget = whole.fitted(free_bytes(placement.device), key_value_shape(model).token_bytes)
    causal = CausalModel(model, known.text, budget)
    with torch.inference_mode():
        if known.decoder is None:
            known.decoder = try_sharing(causal)
        else:
            share(causal, known.decoder)
    if isinstance(causal.decoder, LlamaDecoder):
        causal.release_layers()
    return causal


def load_sentence(folder: Path, placement: Placement) -> SentenceModel:
    """A sentence encoder from a folder of safetensors with its pooling settings."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModel.from_pretrained(
        folder, dtype=placement.dtype, use_safetensors=True, local_files_only=True
    )
    limits = _settings(folder / "sentence_bert_config.json")
    max_tokens = int(limits.get("max_seq_length", model.config.max_position_embeddings))
    return SentenceModel(
        packed(_placed(model, placement)),
        tokenizer,
        max_tokens=max_tokens,
        pooling=_pooling(folder),
        new_tokens=_SENTENCE_NEW_TOKENS[placement.device.type],
    )


def load(folder: Path, placement: Placement, known: Known | None = None) -> CausalModel | SentenceModel:
    """Whichever the folder holds. ``known`` comes from an earlier loading of the same files, or is filled."""
    try:
        if is_causal(folder):
            return load_causal(folder, placement, known or Known())
        return load_sentence(folder, placement)
    except (OSError, ValueError, KeyError) as error:
        raise PermanentFailure(
            f"the model in {folder} could not be loaded with transformers {transformers.__version__}: {error}"
        ) from error


def download(name: str) -> ModelFiles:
    """The files of a Hugging Face model, from the local cache or the hub; safetensors only."""
    from huggingface_hub import snapshot_download

    try:
        folder = snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.txt", "*.model"])
    except Exception as error:
        raise PermanentFailure(
            f"the model {name} is not in this machine's Hugging Face cache and could not be fetched "
            f"({type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}): "
            "check the name and the network, set HF_TOKEN if it is gated, or copy the model into a local "
            "folder and give that folder's path"
        ) from error
    return folder_files(Path(folder))


def free_bytes(device: torch.device) -> int:
    """Memory that is free on the device now."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def _placed(model: Any, placement: Placement) -> Any:
    return model.to(placement.device).eval()


def _convert(gguf: Path, target: Path) -> None:
    """De-quantize ``gguf`` into ``target``. Appears whole or not at all, also if two do it at once."""
    log.info("model_converting file=%s target=%s", gguf, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".converting-", dir=target.parent))
    try:
        model = AutoModelForCausalLM.from_pretrained(
            gguf.parent,
            gguf_file=gguf.name,
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
            local_files_only=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, local_files_only=True)
        _forget_quantization(model)
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
        _install(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _forget_quantization(model: Any) -> None:
    """Let the copy be saved, and loaded, as the plain model that it now is."""
    if getattr(model.config, "quantization_config", None) is not None:
        del model.config.quantization_config
    model.is_quantized = False
    model.hf_quantizer = None


def _install(scratch: Path, target: Path) -> None:
    for path in scratch.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    try:
        scratch.rename(target)
    except OSError:
        if not (target / "config.json").is_file():
            raise


def _pooling(folder: Path) -> str:
    settings = _settings(folder / "1_Pooling" / "config.json")
    if settings.get("pooling_mode_mean_tokens", not settings):
        return "mean"
    if settings.get("pooling_mode_cls_token"):
        return "cls"
    raise PermanentFailure(
        f"the embedding model in {folder} pools by {settings}: this worker knows mean and cls pooling"
    )


def _settings(path: Path) -> dict[str, Any]:
    settings: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return settings
