"""The script that makes a bare machine a worker: fetches the release, installs it, joins, starts."""

from __future__ import annotations

import hashlib
import shlex

from tasks.protocol import Release

_SCRIPT = """\
#!/bin/sh
# Makes this machine a worker of a D8 fleet. Needs Python 3.11 or newer, and no root.
#   sh d8-join.sh              join, and work until Ctrl-C
#   sh d8-join.sh --no-start   join only
set -eu
master={master}
code={code}
name={name}
build={build}
sha256={sha256}
home="${{D8_HOME:-${{XDG_DATA_HOME:-$HOME/.local/share}}/d8}}"
folder="$home/releases/$build"
if [ ! -x "$folder/scripts/d8" ]; then
    mkdir -p "$home/releases"
    part="$(mktemp -d "$home/releases/.part.XXXXXX")"
    trap 'rm -rf "$part"' EXIT
    echo "Fetching build $build from $master" >&2
    curl -fsS "$master/join/$code/release" -o "$part/release.tar.gz"
    if ! echo "$sha256  $part/release.tar.gz" | sha256sum -c --quiet; then
        echo "What came is not build $build: make a new invite on the master and try again." >&2
        exit 1
    fi
    mkdir "$part/code"
    tar -xzf "$part/release.tar.gz" -C "$part/code"
    rm -rf "$folder"
    mv "$part/code" "$folder"
fi
"$folder/scripts/env" --worker
"$folder/scripts/d8" worker join "$master" "$code" ${{name:+--name "$name"}}
if [ "${{1-}}" = "--no-start" ]; then
    echo "Start it with: $folder/scripts/d8 worker start" >&2
    exit 0
fi
exec "$folder/scripts/d8" worker start
"""


def render_script(url: str, code: str, worker: str, release: Release) -> str:
    """The same text for the same arguments, so that its digest can stand in the command that fetches it."""
    return _SCRIPT.format(
        master=shlex.quote(url),
        code=shlex.quote(code),
        name=shlex.quote(worker),
        build=release.build,
        sha256=release.sha256,
    )


def script_digest(script: str) -> str:
    return hashlib.sha256(script.encode()).hexdigest()
