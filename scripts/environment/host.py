"""Facts about this machine. Nothing here initializes CUDA or imports more than the standard library."""

from __future__ import annotations

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path


def has_nvidia_gpu(environment: Mapping[str, str], devices: Path = Path("/dev")) -> bool:
    """Whether an NVIDIA driver with a GPU is here: a device file, or an nvidia-smi that lists one."""
    if any(devices.glob("nvidia[0-9]*")):
        return True
    # Under WSL there is no device file, and the tool is in a folder of its own.
    search = os.pathsep.join((environment.get("PATH", ""), "/usr/lib/wsl/lib"))
    tool = shutil.which("nvidia-smi", path=search)
    if tool is None:
        return False
    try:
        answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0 and "GPU " in answer.stdout


def free_mib(folder: Path) -> int:
    return shutil.disk_usage(folder).free // 2**20


def answers(url: str, timeout_s: float = 5.0) -> bool:
    """Whether a web server answers there within the time. The page itself is not read."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=timeout_s):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError as error:
        # Without ca-certificates nobody is trusted here; pip brings its own list.
        return "CERTIFICATE_VERIFY_FAILED" in str(error)
