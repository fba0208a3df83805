"""The dashboard's libraries are the recorded ones, and no page loads anything from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import io
import re
import shutil
import tarfile
from pathlib import Path

import pytest

from master.web.pages import HERE, STATIC
from scripts.vendoring import FOLDER, Package, Taken, find_differences, read_record, take

TEMPLATES = sorted((HERE / "templates").rglob("*.html"))


def test_the_files_are_byte_for_byte_the_recorded_ones() -> None:
    assert find_differences() == []
    for package in read_record():
        assert package.source.startswith("https://registry.npmjs.org/")
        assert package.version in package.source
        assert package.integrity.startswith("sha512-")
        assert package.license
        assert any(taken.name.startswith("LICENSE") for taken in package.files), package.name


def test_a_changed_a_missing_and_an_unrecorded_file_are_told(tmp_path: Path) -> None:
    folder = shutil.copytree(FOLDER, tmp_path / "vendor")
    (folder / "htmx.min.js").write_bytes(b"alert(1)")
    (folder / "uPlot.min.css").unlink()
    (folder / "other.js").write_bytes(b"")
    wrong = find_differences(folder)
    assert [line.split()[0] for line in wrong] == ["htmx.min.js", "other.js", "uPlot.min.css"]


def package_of(data: bytes, *, content: bytes) -> Package:
    integrity = "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()
    taken = Taken(name="a.js", inside="package/a.js", sha256=hashlib.sha256(content).hexdigest())
    return Package(
        name="a", version="1", source="https://x/a-1.tgz", integrity=integrity, license="MIT", files=(taken,)
    )


def tarball(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        entry = tarfile.TarInfo("package/a.js")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def test_only_the_recorded_package_is_taken(tmp_path: Path) -> None:
    data = tarball(b"good")
    take(package_of(data, content=b"good"), data, tmp_path)
    assert (tmp_path / "a.js").read_bytes() == b"good"
    with pytest.raises(ValueError, match="not the package"):
        take(package_of(data, content=b"good"), tarball(b"evil"), tmp_path)
    with pytest.raises(ValueError, match="not the recorded file"):
        take(package_of(data, content=b"other"), data, tmp_path)
    assert (tmp_path / "a.js").read_bytes() == b"good"


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_has_nothing_inline_and_loads_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:|hx-on", text)
    for address in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=\"([^\"]*)\"", text):
        # The one address that is computed is that of a client's site, of our own (master.web.clients.sites).
        assert address.startswith(("{{ asset[", "/")) or address == "{{ frame }}", address
        assert not address.startswith("//"), address
    assert not re.search(r"<script(?![^>]*\bsrc=)", text)


def test_our_own_sheets_and_scripts_load_nothing_from_elsewhere() -> None:
    for path in [*STATIC.glob("*.css"), *STATIC.glob("*.js"), *FOLDER.glob("*.css")]:
        # The name of SVG's elements is no address that anybody asks.
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|\beval\(|new Function", text), path.name
