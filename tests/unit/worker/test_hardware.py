"""What a worker finds out about its machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from worker.hardware import is_model_here, probe_hardware, read_gpu
from worker.models.supervise import ServerSettings, server_environment, server_log
from worker.settings import WorkerSettings


class FakeNvml:
    """Answers like NVML for a card that does not tell its use."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    def nvmlDeviceGetMemoryInfo(self, _: Any) -> Any:  # noqa: N802
        return SimpleNamespace(total=24 * 2**30, used=2**30)

    def nvmlDeviceGetCudaComputeCapability(self, _: Any) -> tuple[int, int]:  # noqa: N802
        return 8, 9

    def nvmlDeviceGetName(self, _: Any) -> str:  # noqa: N802
        return "card"

    def nvmlDeviceGetTemperature(self, *_: Any) -> int:  # noqa: N802
        return 61

    def nvmlDeviceGetUtilizationRates(self, _: Any) -> Any:  # noqa: N802
        raise self.NVMLError


def test_gpu_is_described_and_what_it_does_not_tell_is_left_out() -> None:
    gpu = read_gpu(FakeNvml(), object(), "550.1")
    assert (gpu.memory_mib, gpu.memory_used_mib, gpu.compute_capability) == (24576, 1024, "8.9")
    assert (gpu.temperature_c, gpu.use_pct) == (61, None)


def test_only_models_that_are_here_are_reported(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    found = probe_hardware(tmp_path, models=(str(model), "/nowhere/model", "openai:http://x#m"))
    assert found.models == (str(model),)
    assert found.memory_mib >= found.memory_free_mib > 0
    assert not is_model_here("embedded:unknown")


def test_worker_with_a_gpu_of_its_own_has_a_model_server_of_its_own(
    d8_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = WorkerSettings().socket_path()
    monkeypatch.setenv("D8_GPU", "1")
    settings = WorkerSettings()
    assert settings.socket_path() != first
    started = ServerSettings(socket_path=settings.socket_path(), log_folder=d8_home, gpu=settings.gpu)
    assert server_environment(started)["CUDA_VISIBLE_DEVICES"] == "1"
    assert server_log(started) != server_log(ServerSettings(socket_path=first, log_folder=d8_home))
    monkeypatch.setenv("D8_GPU", "first")
    with pytest.raises(ValidationError):
        WorkerSettings()
