"""From a genome and an example to the text that a model reads: pure, and the same on every machine.

Workers use it to ask, the master to show a person what was asked.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re

from tasks.darwin_genome import Corpus, Genome, Index, Segment

#: What stands in for the input when the prompt's own leaning is measured.
CONTENT_FREE = "N/A"
#: Longest input of a demonstration, in characters: eight of them still fit a small context.
_CLIP = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One question in three pieces, so that whoever asks many can share the first."""

    #: The segments before the demonstrations.
    head: str
    #: Fixed demonstrations: like the head, the same for every question of a genome.
    shared: str
    #: Retrieved demonstrations, the segments after the demonstrations, and the question itself.
    own: str

    @property
    def text(self) -> str:
        return self.head + self.shared + self.own


def plain(text: str, most: int | None = None) -> str:
    """The input as one line of at most ``most`` characters: an input with line breaks could otherwise
    pose as a demonstration."""
    return re.sub(r"\s+", " ", text).strip()[:most]


def fields_of(corpus: Corpus) -> tuple[str, ...]:
    """Names of the fields of an extracted object, in the schema's order; none for other kinds."""
    return tuple(json.loads(corpus.json_schema).get("properties", {})) if corpus.json_schema else ()


def _segments(genome: Genome, corpus: Corpus, names: tuple[Segment, ...]) -> str:
    """These segments, each on a line of its own; nothing for a genome that has none of them."""
    texts = {"role": genome.role, "instruction": genome.instruction, "format": genome.format}
    found = [texts[name] for name in names if texts.get(name)]
    labels, fields = ", ".join(genome.label_words), ", ".join(fields_of(corpus))
    slots = {"{labels}": labels, "{fields}": fields, "{low}": f"{corpus.low:g}", "{high}": f"{corpus.high:g}"}
    filled = [functools.reduce(lambda told, slot: told.replace(*slot), slots.items(), text) for text in found]
    return "\n".join(filled) + (genome.layout.between if filled else "")


def head(genome: Genome, corpus: Corpus) -> str:
    """What stands before the demonstrations."""
    return _segments(genome, corpus, genome.order[: genome.order.index("examples")])


def tail(genome: Genome, corpus: Corpus) -> str:
    """What stands between the demonstrations and the question."""
    return _segments(genome, corpus, genome.order[genome.order.index("examples") + 1 :])


def question(genome: Genome, text: str, most: int | None = None) -> str:
    """The input, up to where the answer is expected."""
    return genome.layout.before_input + plain(text, most) + genome.layout.before_label


def continuation(genome: Genome, word: str) -> str:
    """A label word as it continues a question: with a space unless a line or the chat turn begins."""
    return word if genome.chat or genome.layout.before_label.endswith("\n") else " " + word


def demonstration(genome: Genome, corpus: Corpus, example: int) -> str:
    """A solved question from the pool, with what parts it from the next."""
    shown = corpus.examples[example]
    word = shown.expected
    if corpus.kind == "classify":
        word = genome.label_words[corpus.labels.index(word)]
    space = "" if genome.layout.before_label.endswith("\n") else " "
    return question(genome, shown.input, _CLIP) + space + plain(word) + genome.layout.between


def retrieved(genome: Genome, index: Index, example: int) -> list[int]:
    """Ids of the neighbors that this genome shows before this example, in the order shown."""
    wanted = genome.demonstrations.retrieved
    fixed = set(genome.demonstrations.fixed)
    near = [other for other in index.neighbors[example] if other not in fixed][:wanted]
    return near[::-1] if genome.demonstrations.order == "nearest_last" else near


def shared_demonstrations(genome: Genome, corpus: Corpus) -> str:
    return "".join(demonstration(genome, corpus, at) for at in genome.demonstrations.fixed)


def prompt_for(genome: Genome, corpus: Corpus, index: Index, example: int) -> Prompt:
    """The whole prompt for one example of the corpus."""
    near = retrieved(genome, index, example)
    own = "".join(demonstration(genome, corpus, at) for at in near)
    return Prompt(
        head=head(genome, corpus),
        shared=shared_demonstrations(genome, corpus),
        own=own + tail(genome, corpus) + question(genome, corpus.examples[example].input),
    )


def content_free(genome: Genome, corpus: Corpus) -> Prompt:
    """The prompt that shows which label words this genome favors before it has read anything.

    Retrieved demonstrations are left out on purpose: their labels are evidence about the question,
    and taking them away again would cancel what retrieval is for.
    """
    return Prompt(
        head=head(genome, corpus),
        shared=shared_demonstrations(genome, corpus),
        own=tail(genome, corpus) + question(genome, CONTENT_FREE),
    )
