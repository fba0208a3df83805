"""Each kind of data set with a real model: labels, objects, answers, numbers; and the critic."""

from __future__ import annotations

import json

from tasks.darwin_genome import Demonstrations, Example, Genome, Layout, Sampling
from tasks.darwin_metrics import Metric
from tasks.darwin_reflect import Request as ReflectRequest
from tests.integration.darwin.stage import ANSWERS, EXTRACT, SCORES, TOPICS, RealContext
from worker.handlers import darwin_reflect

#: More tokens than the model can read: each of these signs takes several.
ENDLESS = "\U00013000\U00013123" * 2000


def test_a_label_is_chosen_by_likelihood_and_a_failing_example_costs_the_others_nothing(
    context: RealContext,
) -> None:
    genome = Genome(
        label_words=("billing", "booking"),
        instruction="One of: {labels}.",
        demonstrations=Demonstrations(fixed=(0, 1)),
    )
    whole = context.evaluate(TOPICS, genome)
    broken = TOPICS.model_copy(
        update={
            "examples": (
                *TOPICS.examples,
                Example(input=ENDLESS, expected="billing", split="selection"),
            )
        }
    )
    partly = context.evaluate(broken, genome)

    assert [one.example for one in whole.outcomes] == list(TOPICS.ids("selection"))
    assert whole.failures == ()
    assert len(whole.model_sha256) == 64
    assert [(one.example, one.transient) for one in partly.failures] == [(6, False)]
    assert [one.answer for one in partly.outcomes] == [one.answer for one in whole.outcomes]


def test_an_object_is_held_to_its_schema_and_scored_by_its_fields(context: RealContext) -> None:
    layout = Layout(before_input="Text: ", before_label="\nJSON:", between="\n\n")
    shown = Demonstrations(fixed=(0, 1, 2))
    genome = Genome(
        instruction="Extract {fields}.",
        layout=layout,
        demonstrations=shown,
        sampling=Sampling(max_new_tokens=40),
    )
    result = context.evaluate(EXTRACT, genome, metric=Metric(name="json_fields"))

    assert all(set(json.loads(one.answer)) == {"amount", "name"} for one in result.outcomes)
    # Each is valid: half of the score. With three examples to copy, a small model finds more than nothing.
    assert all(one.score >= 0.5 for one in result.outcomes)
    assert sum(one.score for one in result.outcomes) > 2.0
    assert result.generated_tokens == sum(one.generated_tokens for one in result.outcomes) > 0


def test_an_answer_is_generated_up_to_the_next_question_and_repeats_itself_with_its_seed(
    context: RealContext,
) -> None:
    genome = Genome(
        layout=Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        demonstrations=Demonstrations(fixed=(0, 1)),
        sampling=Sampling(temperature=0.8, max_new_tokens=12),
    )
    first = context.evaluate(ANSWERS, genome, metric=Metric(name="token_f1"), seed=7)
    again = context.evaluate(ANSWERS, genome, metric=Metric(name="token_f1"), seed=7)
    greedy = genome.model_copy(update={"sampling": Sampling(max_new_tokens=12)})
    found = context.evaluate(ANSWERS, greedy, metric=Metric(name="exact_match"))

    assert [one.answer for one in first.outcomes] == [one.answer for one in again.outcomes]
    assert not any("Q:" in one.answer for one in found.outcomes)
    # Berlin and Tokyo after two examples: what a model of this size knows.
    assert sum(one.correct for one in found.outcomes) >= 1


def test_an_answer_may_be_scored_by_what_it_means(context: RealContext) -> None:
    genome = Genome(
        layout=Layout(before_input="Q: ", before_label="\nA:", between="\n\n"),
        demonstrations=Demonstrations(fixed=(0, 1)),
        sampling=Sampling(max_new_tokens=8),
    )
    result = context.evaluate(ANSWERS, genome, metric=Metric(name="similarity"))

    assert all(0 < one.score <= 1 for one in result.outcomes)


def test_a_number_is_generated_as_a_number(context: RealContext) -> None:
    genome = Genome(
        layout=Layout(before_input="", before_label=" =>", between="\n"),
        demonstrations=Demonstrations(fixed=(0, 1, 2)),
        sampling=Sampling(max_new_tokens=6),
    )
    result = context.evaluate(SCORES, genome, metric=Metric(name="closeness"))

    assert all(float(one.answer) is not None for one in result.outcomes)


def test_a_critic_is_asked_through_its_chat_template_and_its_answer_is_judged_apart(
    context: RealContext,
) -> None:
    request = ReflectRequest(
        system="You rewrite instructions.",
        user="Rewrite: Sort it.",
        model="embedded:smollm2",
        max_new_tokens=24,
        seed=3,
    )
    first = darwin_reflect.handle(request, context)

    assert first.text
    assert first.text == darwin_reflect.handle(request, context).text
    assert 0 < first.generated_tokens <= 24
