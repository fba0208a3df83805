from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tasks.errors import PermanentFailure
from worker.models.artifacts import find_files, folder_files, is_causal
from worker.models.reference import parse_reference


def test_a_missing_folder_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(PermanentFailure, match=r"does not exist: check the path"):
        find_files(parse_reference(f"{tmp_path}/gone"))


def test_pickled_weights_are_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")

    with pytest.raises(PermanentFailure, match=r"pytorch_model\.bin, which can run code.*safetensors"):
        folder_files(tmp_path)


def test_weights_without_a_config_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"x")

    with pytest.raises(PermanentFailure, match=r"has no config\.json"):
        folder_files(tmp_path)


def test_a_folders_digest_is_its_weights_digest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")

    assert folder_files(tmp_path).sha256 == hashlib.sha256(b"weights").hexdigest()


def test_renaming_or_changing_a_shard_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"1")
    (tmp_path / "b.safetensors").write_bytes(b"2")
    before = folder_files(tmp_path).sha256

    (tmp_path / "b.safetensors").write_bytes(b"3")

    assert folder_files(tmp_path).sha256 != before


@pytest.mark.parametrize(
    ("architectures", "causal"), [(["LlamaForCausalLM"], True), (["BertModel"], False), (None, False)]
)
def test_the_config_tells_text_models_from_encoders(
    tmp_path: Path, architectures: list[str] | None, causal: bool
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": architectures}))

    assert is_causal(tmp_path) is causal
