"""Puts the locked pip into a virtual environment that has none.

Debian ships Python without ``ensurepip`` (it is in python3-venv, which needs root to install), so
``python3 -m venv`` fails there. ``python3 -m venv --without-pip`` works; this fetches the one wheel
that ``requirements/pip.lock`` names from the package index that pip is configured to use, checks its
sha256, and lets that wheel install itself.

    python3 -m scripts.bootstrap_pip VENV_PYTHON
"""

from __future__ import annotations

import base64
import configparser
import dataclasses
import hashlib
import html.parser
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from scripts.environment.errors import EnvironmentFailure
from scripts.environment.locks import Pin, read_lock

ROOT = Path(__file__).resolve().parent.parent
PYPI = "https://pypi.org/simple"
TIMEOUT_S = 30.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class PipConfig:
    """The part of pip's configuration that says where packages come from."""

    #: Simple-API addresses (PEP 503), most wanted first.
    indexes: tuple[str, ...]
    #: Folders, files or pages with packages.
    find_links: tuple[str, ...]
    #: File with certificates to trust, or "" for the system's.
    certificates: str
    #: Proxy for both schemes, or "" for what the environment says.
    proxy: str


def config_files(environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """pip's configuration files, the weakest first (pip's documentation, "Configuration Files")."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return ()
    system = [
        Path(folder) / "pip/pip.conf" for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":")
    ]
    user = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "pip/pip.conf"
    return (*([Path(named)] if named else []), *system, Path("/etc/pip.conf"), home / ".pip/pip.conf", user)


def read_config(environment: Mapping[str, str], files: Iterable[Path]) -> PipConfig:
    """What pip itself would use: files, then the environment; ``[install]`` over ``[global]``."""
    values: dict[str, str] = {}
    for path in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError) as error:
            raise EnvironmentFailure(
                f"pip's configuration file {path} cannot be read ({error}): correct or remove it"
            ) from None
        for section in ("global", "install"):
            if parser.has_section(section):
                values |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    for key in ("index-url", "extra-index-url", "find-links", "cert", "proxy", "no-index"):
        if given := environment.get("PIP_" + key.upper().replace("-", "_")):
            values[key] = given
    indexes = [values.get("index-url") or PYPI, *values.get("extra-index-url", "").split()]
    if values.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        indexes = []
    return PipConfig(
        indexes=tuple(indexes),
        find_links=tuple(values.get("find-links", "").split()),
        certificates=values.get("cert", ""),
        proxy=values.get("proxy", ""),
    )


class _Links(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for key, value in attrs if key == "href" and value]


def find_link(page: str, page_url: str, filename: str) -> str | None:
    """Absolute address of the file of this name on an index page, or None."""
    parser = _Links()
    parser.feed(page)
    for link in parser.links:
        url = urllib.parse.urljoin(page_url, link)
        if urllib.parse.unquote(urllib.parse.urlsplit(url).path).rsplit("/", 1)[-1] == filename:
            return url.split("#", 1)[0]
    return None


def read_url(url: str, config: PipConfig, *, verify: bool = True) -> bytes:
    """What is at this address. Name and password in it are sent as basic authentication.

    Raises ``OSError`` (``urllib.error.URLError`` included).
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https", "file"):
        raise urllib.error.URLError(f"unknown kind of address {parts.scheme!r}")
    request = urllib.request.Request(
        parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(),
        headers={"Accept": "text/html, */*;q=0.1"},
    )
    if parts.username:
        secret = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_header("Authorization", "Basic " + base64.b64encode(secret.encode()).decode())
    context = ssl.create_default_context(cafile=config.certificates or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=context)]
    if config.proxy:
        handlers.append(urllib.request.ProxyHandler({"http": config.proxy, "https": config.proxy}))
    with urllib.request.build_opener(*handlers).open(request, timeout=TIMEOUT_S) as answer:
        data: bytes = answer.read()
    return data


def _read_verified_later(url: str, config: PipConfig) -> bytes:
    """``read_url`` for what is checked by sha256 anyway.

    A machine without ca-certificates trusts nobody. The digest protects the wheel, so it may come
    over an unproved connection; a password may not go over one.
    """
    try:
        return read_url(url, config)
    except urllib.error.URLError as error:
        unproved = isinstance(error.reason, ssl.SSLCertVerificationError)
        if not unproved or urllib.parse.urlsplit(url).username:
            raise
        return read_url(url, config, verify=False)


def _from_folder(place: str, filename: str) -> bytes | None:
    """The wheel from a folder of packages (a path or file: address), or None."""
    folder = (
        Path(urllib.request.url2pathname(urllib.parse.urlsplit(place).path))
        if "://" in place
        else Path(place)
    )
    wheel = folder.expanduser() / filename
    return wheel.read_bytes() if wheel.is_file() else None


def fetch_wheel(pin: Pin, config: PipConfig) -> bytes:
    """The wheel of this pin, from the first place that has it with the right digest."""
    filename = f"{pin.name}-{pin.version}-py3-none-any.whl"
    troubles: list[str] = []
    for place in (*config.find_links, *(f"{index.rstrip('/')}/{pin.name}/" for index in config.indexes)):
        shown = _without_password(place)
        try:
            data = _fetch_from(place, filename, config)
        except OSError as error:
            troubles.append(f"{shown}: {getattr(error, 'reason', '') or error}")
            continue
        if data is None:
            troubles.append(f"{shown}: does not have it")
        elif hashlib.sha256(data).hexdigest() not in pin.sha256s:
            troubles.append(f"{shown}: its file has another sha256 than the lock; not used")
        else:
            return data
    raise EnvironmentFailure(
        f"{filename} could not be fetched ({'; '.join(troubles) or 'no index is configured'}): check the "
        f"network and pip's settings (PIP_INDEX_URL, PIP_CERT, /etc/pip.conf), then run it again"
    )


def _fetch_from(place: str, filename: str, config: PipConfig) -> bytes | None:
    if urllib.parse.urlsplit(place).scheme not in ("http", "https"):
        return _from_folder(place, filename)
    page = _read_verified_later(place, config).decode("utf-8", errors="replace")
    link = find_link(page, place, filename)
    return _read_verified_later(link, config) if link else None


def _without_password(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl() if parts.netloc else url


def locked_pip() -> Pin:
    """The pip that ``requirements/pip.lock`` names."""
    return read_lock(ROOT / "requirements/pip.lock")[0]


def install_pip(venv_python: Path) -> None:
    """Put the locked pip into the environment of this Python."""
    pin = locked_pip()
    home = Path(os.environ.get("HOME") or os.path.expanduser("~"))
    data = fetch_wheel(pin, read_config(os.environ, config_files(os.environ, home)))
    with tempfile.TemporaryDirectory(prefix="d8-pip-") as folder:
        wheel = Path(folder) / f"{pin.name}-{pin.version}-py3-none-any.whl"
        wheel.write_bytes(data)
        # A wheel is a zip file, and Python runs a package inside one.
        done = subprocess.run(
            [venv_python, wheel / "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-user", wheel],
            env={
                name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
            },
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise EnvironmentFailure(
            f"pip {pin.version} did not install itself: {(done.stderr or done.stdout).strip()}"
        )


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1:
        print("usage: python3 -m scripts.bootstrap_pip VENV_PYTHON", file=sys.stderr)
        return 2
    try:
        install_pip(Path(arguments[0]))
    except EnvironmentFailure as error:
        print(error, file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
