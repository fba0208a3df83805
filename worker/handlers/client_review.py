"""The reviewer: checks the site that was built, not the way it was built."""

from __future__ import annotations

from tasks.client_review import Request, Result
from worker.handlers.client_site.archive import unpack
from worker.handlers.client_site.audit import review
from worker.handlers.context import Context


def handle(request: Request, context: Context) -> Result:
    files = unpack(context.read_artifact(request.site_sha256))
    context.progress(0.3, f"{len(files)} files unpacked")
    return Result(checks=review(files, request.brief))
