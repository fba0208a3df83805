"""The developer: renders the site and packs it."""

from __future__ import annotations

from jinja2 import UndefinedError

from tasks.client_build import BuiltFile, Request, Result
from tasks.errors import PermanentFailure
from worker.handlers.client_site.archive import pack
from worker.handlers.client_site.render import render_site
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    try:
        files = render_site(request)
    except (KeyError, UndefinedError) as error:
        raise PermanentFailure(
            f"the site of {request.brief.name!r} cannot be rendered, a text is missing ({error}): "
            f"the request has {', '.join(sorted(request.texts)) or 'none'}"
        ) from error
    context.progress(0.6, f"{len(files)} files rendered")
    drawings = {
        "img/logo.svg": request.artwork.logo_sha256,
        "img/hero.svg": request.artwork.hero_sha256,
        "img/favicon.svg": request.artwork.favicon_sha256,
    }
    files |= {path: context.read_artifact(digest) for path, digest in drawings.items()}
    digest = context.write_artifact("site.zip", pack(files), "application/zip")
    return Result(
        site_sha256=digest,
        files=tuple(BuiltFile(path=path, bytes=len(files[path])) for path in sorted(files)),
    )
