"""From a genome and an example to the text that a model reads: pure, and the same on every machine.

Workers use it to ask, the master to show a person what was asked.
"""

from __future__ import annotations

import dataclasses
import re

from tasks.darwin_genome import Corpus, Genome, Index

#: What stands in for the input when the prompt's own leaning is measured.
CONTENT_FREE = "N/A"
#: Longest input shown in a prompt, in characters: eight demonstrations still fit a small context.
_CLIP = 1000


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt:
    """One question in three pieces, so that whoever asks many can share the first."""

    #: Role and instruction.
    head: str
    #: Fixed demonstrations: like the head, the same for every question of a genome.
    shared: str
    #: Retrieved demonstrations and the question itself.
    own: str

    @property
    def text(self) -> str:
        return self.head + self.shared + self.own


def plain(text: str) -> str:
    """The input as one line: an input with line breaks could otherwise pose as a demonstration."""
    return re.sub(r"\s+", " ", text).strip()[:_CLIP]


def head(genome: Genome) -> str:
    """Role and instruction, each on a line of its own; empty for a genome that has neither."""
    instruction = genome.instruction.replace("{labels}", ", ".join(genome.label_words))
    segments = [segment for segment in (genome.role, instruction) if segment]
    return "\n".join(segments) + (genome.layout.between if segments else "")


def question(genome: Genome, text: str) -> str:
    """The input, up to where the label is expected."""
    return genome.layout.before_input + plain(text) + genome.layout.before_label


def continuation(genome: Genome, word: str) -> str:
    """A label word as it continues a question: with a space unless a line or the chat turn begins."""
    return word if genome.chat or genome.layout.before_label.endswith("\n") else " " + word


def demonstration(genome: Genome, corpus: Corpus, example: int) -> str:
    """A solved question from the pool, with what parts it from the next."""
    shown = corpus.examples[example]
    word = genome.label_words[corpus.labels.index(shown.label)]
    space = "" if genome.layout.before_label.endswith("\n") else " "
    return question(genome, shown.input) + space + word + genome.layout.between


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
        head=head(genome),
        shared=shared_demonstrations(genome, corpus),
        own=own + question(genome, corpus.examples[example].input),
    )


def content_free(genome: Genome, corpus: Corpus) -> Prompt:
    """The prompt that shows which label words this genome favors before it has read anything.

    Retrieved demonstrations are left out on purpose: their labels are evidence about the question,
    and taking them away again would cancel what retrieval is for.
    """
    return Prompt(
        head=head(genome),
        shared=shared_demonstrations(genome, corpus),
        own=question(genome, CONTENT_FREE),
    )
