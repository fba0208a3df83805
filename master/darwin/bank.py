"""Phrasings that genomes are made of: what an owner might plausibly write first, in English and Spanish.

None is tuned to a model or a data set. A language model as mutator may add to them; evolution works
without one.
"""

from __future__ import annotations

from tasks.darwin_genome import Layout

ROLES: tuple[str, ...] = (
    "",
    "You are a helpful assistant.",
    "You sort incoming messages for a small business.",
    "You are a careful clerk who reads every message to the end.",
    "You work at the front desk and forward each message to the right colleague.",
    "Eres un asistente útil.",
    "Clasificas los mensajes que llegan a una pequeña empresa.",
    "Atiendes la recepción y pasas cada mensaje a la persona adecuada.",
)

INSTRUCTIONS: tuple[str, ...] = (
    "",
    "Classify the message.",
    "Classify the message as one of: {labels}.",
    "Which of these fits the message best: {labels}?",
    "Read the message and say what its writer wants. Choose one of: {labels}.",
    "Messages are in English or Spanish. Answer with exactly one of: {labels}.",
    "Below are messages with the right label. Label the last one.",
    "The possible labels are {labels}. Think about what the writer expects to happen next.",
    "Clasifica el mensaje en una de estas clases: {labels}.",
    "Lee el mensaje y di qué quiere quien lo escribe: {labels}.",
    "Responde solo con una de estas etiquetas: {labels}.",
)

LAYOUTS: tuple[Layout, ...] = (
    Layout(before_input="Message: ", before_label="\nLabel:", between="\n\n"),
    Layout(before_input="Message: ", before_label="\nIntent:", between="\n\n"),
    Layout(before_input="Text: ", before_label="\nClass:", between="\n"),
    Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
    Layout(before_input="", before_label=" =>", between="\n"),
    Layout(before_input='"', before_label='" is about', between="\n"),
    Layout(before_input='The customer says: "', before_label='"\nThis is a message about', between="\n\n"),
    Layout(before_input="Mensaje: ", before_label="\nEtiqueta:", between="\n\n"),
    Layout(before_input="Cliente: ", before_label="\nMotivo:", between="\n\n"),
    Layout(before_input="### Message\n", before_label="\n### Label\n", between="\n\n"),
)


def words_as_given(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Label words as a person would read the labels: underscores become spaces."""
    return _unless_alike(
        tuple(" ".join(label.replace("_", " ").split()) or label for label in labels), labels
    )


def word_styles(labels: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Every way of writing the labels that keeps them apart, without repeats."""
    words = words_as_given(labels)
    styles = (
        words,
        tuple(word.lower() for word in words),
        tuple(word.capitalize() for word in words),
        tuple(word.upper() for word in words),
        tuple(word.split()[0].lower() for word in words),
        tuple(f'"{word}"' for word in words),
    )
    return tuple(dict.fromkeys(_unless_alike(style, words) for style in styles))


def _unless_alike(words: tuple[str, ...], otherwise: tuple[str, ...]) -> tuple[str, ...]:
    return words if len(set(words)) == len(words) and all(words) else otherwise
