from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import bootstrap_pip
from scripts.bootstrap_pip import PYPI, PipConfig
from scripts.environment.errors import EnvironmentFailure
from scripts.environment.locks import Pin

WHEEL = b"not really a wheel"
FILENAME = "pip-1.0-py3-none-any.whl"


def pin(data: bytes = WHEEL) -> Pin:
    return Pin(name="pip", version="1.0", marker="", sha256s=(hashlib.sha256(data).hexdigest(),))


def config(*indexes: str, find_links: tuple[str, ...] = ()) -> PipConfig:
    return PipConfig(indexes=indexes, find_links=find_links, certificates="", proxy="")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_request(self, code: object = "-", size: object = "-") -> None:
        del code, size

    def log_error(self, *args: object) -> None:
        del args


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index on loopback with one file, as PEP 503 describes it."""
    (tmp_path / "simple/pip").mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / FILENAME).write_bytes(WHEEL)
    (tmp_path / "simple/pip/index.html").write_text(
        f'<a href="../../files/pip-0.9-py3-none-any.whl">pip-0.9-py3-none-any.whl</a>'
        f'<a href="../../files/{FILENAME}#sha256=abc">{FILENAME}</a>'
    )
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Quiet, directory=str(tmp_path))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with contextlib.closing(server.socket):
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()
        thread.join()


def test_wheel_comes_from_the_configured_index(index: str) -> None:
    assert bootstrap_pip.fetch_wheel(pin(), config(index)) == WHEEL


def test_wheel_of_another_digest_is_never_used(index: str) -> None:
    with pytest.raises(EnvironmentFailure, match="another sha256 than the lock"):
        bootstrap_pip.fetch_wheel(pin(b"what was locked"), config(index))


def test_folder_of_wheels_is_asked_before_any_index(tmp_path: Path) -> None:
    (tmp_path / FILENAME).write_bytes(WHEEL)
    folder = tmp_path.as_uri()
    assert bootstrap_pip.fetch_wheel(pin(), config(find_links=(folder,))) == WHEEL


def test_second_index_is_asked_when_the_first_lacks_it(index: str) -> None:
    assert bootstrap_pip.fetch_wheel(pin(), config(index + "/nothing", index)) == WHEEL


def test_failure_names_each_place_and_no_password(index: str) -> None:
    address = index.replace("://", "://me:hunter2@") + "/nothing"
    with pytest.raises(EnvironmentFailure, match="could not be fetched") as caught:
        bootstrap_pip.fetch_wheel(pin(), config(address))
    assert "127.0.0.1" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_without_configuration_packages_come_from_pypi() -> None:
    assert bootstrap_pip.read_config({}, []).indexes == (PYPI,)


def test_environment_goes_before_files_and_the_persons_file_before_the_systems(tmp_path: Path) -> None:
    system, own = tmp_path / "system.conf", tmp_path / "own.conf"
    system.write_text("[global]\nindex-url = https://system/simple\ncert = /system.pem\n")
    own.write_text("[global]\nindex_url = https://own/simple\n[install]\nfind-links = /a\n  /b\n")
    read = bootstrap_pip.read_config({}, [system, own, tmp_path / "missing.conf"])
    assert read == PipConfig(
        indexes=("https://own/simple",), find_links=("/a", "/b"), certificates="/system.pem", proxy=""
    )
    read = bootstrap_pip.read_config({"PIP_INDEX_URL": "https://env/simple"}, [system, own])
    assert read.indexes == ("https://env/simple",)


def test_no_index_means_no_index() -> None:
    assert bootstrap_pip.read_config({"PIP_NO_INDEX": "1"}, []).indexes == ()


def test_broken_configuration_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "pip.conf"
    broken.write_text("index-url = https://no-section/\n")
    with pytest.raises(EnvironmentFailure, match=r"pip\.conf cannot be read"):
        bootstrap_pip.read_config({}, [broken])


def test_configuration_file_named_by_the_environment_is_the_weakest() -> None:
    files = bootstrap_pip.config_files({"PIP_CONFIG_FILE": "/x/pip.conf"}, Path("/home/me"))
    assert files[0] == Path("/x/pip.conf")
    assert files[-1] == Path("/home/me/.config/pip/pip.conf")
    assert bootstrap_pip.config_files({"PIP_CONFIG_FILE": "/dev/null"}, Path("/home/me")) == ()


def test_locked_pip_is_one_wheel_with_hashes() -> None:
    locked = bootstrap_pip.locked_pip()
    assert locked.name == "pip"
    assert locked.sha256s
