"""What genomes of each kind of task are first made of. Pure.

As in ``bank``, which has those of classifying: none is tuned to a model or a data set.
"""

from __future__ import annotations

import dataclasses

from master.darwin import bank
from tasks.darwin_genome import Kind, Layout


@dataclasses.dataclass(frozen=True, kw_only=True)
class Phrasings:
    """Each begins with "nothing", where nothing is a choice."""

    roles: tuple[str, ...]
    instructions: tuple[str, ...]
    formats: tuple[str, ...]
    layouts: tuple[Layout, ...]


_EXTRACT = Phrasings(
    roles=(
        "",
        "You are a helpful assistant.",
        "You are a careful clerk who copies details from letters into a form.",
        "Eres un asistente cuidadoso que pasa datos de textos a una ficha.",
    ),
    instructions=(
        "",
        "Extract the fields from the text.",
        "Extract these fields from the text: {fields}.",
        "Read the text and fill in: {fields}. Use only what the text says.",
        "Copy the values of {fields} from the text, word for word.",
        "Extrae del texto estos datos: {fields}.",
    ),
    formats=(
        "",
        "Answer with one JSON object.",
        "Answer with one JSON object with the fields {fields} and nothing else.",
        "Responde solo con un objeto JSON.",
    ),
    layouts=(
        Layout(before_input="Text: ", before_label="\nJSON:", between="\n\n"),
        Layout(before_input="Input: ", before_label="\nOutput:", between="\n\n"),
        Layout(before_input="", before_label=" =>", between="\n"),
        Layout(before_input="### Text\n", before_label="\n### JSON\n", between="\n\n"),
        Layout(before_input="Texto: ", before_label="\nDatos:", between="\n\n"),
    ),
)

_ANSWER = Phrasings(
    roles=(
        "",
        "You are a helpful assistant.",
        "You answer questions exactly and briefly.",
        "Respondes a preguntas con exactitud y brevedad.",
    ),
    instructions=(
        "",
        "Answer the question.",
        "Answer the question in as few words as possible.",
        "Think about what is asked, then give the answer alone.",
        "Complete the last one as the others were.",
        "Responde a la pregunta con las menos palabras posibles.",
    ),
    formats=("", "Give the answer alone, without a sentence around it.", "Answer in one line."),
    layouts=(
        Layout(before_input="Question: ", before_label="\nAnswer:", between="\n\n"),
        Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        Layout(before_input="Input: ", before_label="\nOutput:", between="\n\n"),
        Layout(before_input="", before_label=" =>", between="\n"),
        Layout(before_input="Pregunta: ", before_label="\nRespuesta:", between="\n\n"),
    ),
)

_SCORE = Phrasings(
    roles=(
        "",
        "You are a helpful assistant.",
        "You are an experienced judge who gives fair scores.",
        "Puntúas textos con justicia y experiencia.",
    ),
    instructions=(
        "",
        "Give the text a score.",
        "Give the text a score from {low} to {high}.",
        "Read the text and score it from {low} to {high}, {high} being the most.",
        "Score the last one as the others were.",
        "Puntúa el texto de {low} a {high}.",
    ),
    formats=("", "Answer with a number alone.", "Responde solo con un número."),
    layouts=(
        Layout(before_input="Text: ", before_label="\nScore:", between="\n\n"),
        Layout(before_input="Input: ", before_label="\nOutput:", between="\n\n"),
        Layout(before_input="", before_label=" =>", between="\n"),
        Layout(before_input="Review: ", before_label="\nRating:", between="\n\n"),
        Layout(before_input="Texto: ", before_label="\nNota:", between="\n\n"),
    ),
)

PHRASINGS: dict[Kind, Phrasings] = {
    "classify": Phrasings(
        roles=bank.ROLES,
        instructions=bank.INSTRUCTIONS,
        formats=("", "Answer with the label alone.", "Responde solo con la etiqueta."),
        layouts=bank.LAYOUTS,
    ),
    "extract": _EXTRACT,
    "answer": _ANSWER,
    "score": _SCORE,
}
