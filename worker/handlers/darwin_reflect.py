"""Handler of ``darwin.reflect``."""

from __future__ import annotations

from tasks.darwin_reflect import Request, Result
from worker.handlers.context import Context
from worker.models.protocol import GenerateItem


def handle(request: Request, context: Context) -> Result:
    """What the model writes, as it writes it."""
    models = context.models
    before = models.usage
    prompt = models.chat_prompt(request.model, [("system", request.system), ("user", request.user)])
    item = GenerateItem(
        prompt=prompt,
        max_new_tokens=request.max_new_tokens,
        temperature=request.temperature,
        top_p=0.95,
        seed=request.seed,
    )
    written = models.generate(request.model, [item])[0]
    context.progress(1.0, "written")
    after, about = models.usage, models.describe(request.model)
    return Result(
        text=written.text[:100_000],
        prompt_tokens=after.prompt_tokens - before.prompt_tokens,
        generated_tokens=after.generated_tokens - before.generated_tokens,
        seconds=round(after.seconds - before.seconds, 3),
        cost_micros=after.cost_micros - before.cost_micros,
        model=about.get("model", request.model),
        model_sha256=about.get("sha256", ""),
    )
