from __future__ import annotations

import io
from pathlib import Path

from scripts.environment.pip import explain
from scripts.environment.progress import PipOutput, ProgressLine


def test_packages_are_counted_and_the_current_one_is_named() -> None:
    output = PipOutput()
    output.feed("Collecting celery==5.7.0 (from -r requirements.txt (line 3))")
    output.feed(
        "Requirement already satisfied: kombu==5.7.0 in /x (from -r requirements.txt (line 9)) (5.7.0)"
    )
    assert str(output) == "2 packages, kombu"


def test_large_download_shows_its_megabytes() -> None:
    output = PipOutput()
    output.feed("Collecting torch==2.13.0+cpu (from -r torch.lock (line 3))")
    output.feed("  Downloading torch-2.13.0%2Bcpu-cp311-cp311-manylinux_2_28_x86_64.whl (191.8 MB)")
    kept = output.feed("Progress 50000000 of 191800000")
    assert str(output) == "1 packages, torch 50 of 192 MB"
    assert not kept, "a log of every quarter megabyte helps nobody"


def test_unpacking_is_said_and_remembered_as_a_change() -> None:
    output = PipOutput()
    output.feed("Collecting a==1")
    assert not output.installing
    output.feed("Installing collected packages: a, b")
    assert output.installing
    assert str(output) == "unpacking 1 packages"


def test_output_to_a_file_has_no_control_characters() -> None:
    stream = io.StringIO()
    line = ProgressLine("Libraries", stream)
    line.show("1 packages, a")
    line.done("2 packages")
    assert stream.getvalue() == "Libraries ...\nLibraries: 2 packages, 0 s\n"


def test_machine_without_certificates_is_not_told_that_a_version_is_missing() -> None:
    last = [
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(CERTIFICATE_VERIFY_FAILED)'",
        "ERROR: No matching distribution found for alembic==1.20.1",
    ]
    assert "ca-certificates" in explain("Libraries", last, Path("/x/log"))


def test_full_disk_is_explained_with_its_remedy() -> None:
    said = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    last = ["Installing collected packages: torch", said]
    text = explain("PyTorch", last, Path("/x/d8-install.log"))
    assert "No space left on device" in text
    assert "free some disk space" in text
    assert "/x/d8-install.log" in text
    assert "\n" not in text
