from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.models.native.plan import Group, Tokens, common_prefix, fill_batches, share_prefixes

# Few distinct tokens and long repetitions, so that prompts often share beginnings worth sharing.
TOKENS = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 60)), min_size=1, max_size=4).map(
    lambda runs: tuple(token for token, length in runs for _ in range(length))
)


def computed_tokens(prompts: list[Tokens], groups: list[Group], kept: list[Tokens]) -> int:
    total = 0
    for group in groups:
        prefix = prompts[group.members[0]][: group.prefix_tokens]
        known = max((common_prefix(prefix, entry) for entry in kept), default=0)
        total += group.prefix_tokens - known
        total += sum(len(prompts[member]) - group.prefix_tokens for member in group.members)
    return total


@given(TOKENS, TOKENS)
def test_common_prefix_is_the_longest_equal_beginning(first: Tokens, second: Tokens) -> None:
    length = common_prefix(first, second)

    assert first[:length] == second[:length]
    assert first[length : length + 1] != second[length : length + 1] or length == len(first) == len(second)


@given(st.lists(TOKENS, max_size=12), st.lists(TOKENS, max_size=3))
def test_every_prompt_is_in_one_group_whose_prefix_it_begins_with(
    prompts: list[Tokens], kept: list[Tokens]
) -> None:
    groups = share_prefixes(prompts, kept)

    assert sorted(member for group in groups for member in group.members) == list(range(len(prompts)))
    for group in groups:
        beginnings = {prompts[member][: group.prefix_tokens] for member in group.members}
        assert len(beginnings) == 1
        assert all(len(prompts[member]) > group.prefix_tokens for member in group.members)


@given(st.lists(TOKENS, max_size=12), st.lists(TOKENS, max_size=3))
def test_sharing_never_computes_more_tokens_than_not_sharing(
    prompts: list[Tokens], kept: list[Tokens]
) -> None:
    groups = share_prefixes(prompts, kept)

    assert computed_tokens(prompts, groups, kept) <= sum(len(prompt) for prompt in prompts)


def test_prompts_of_two_agents_share_each_agents_own_beginning() -> None:
    first, second = tuple(range(100)), tuple(range(50, 150))
    prompts = [(*first, 7, 1), (*second, 8, 1), (*first, 9), (*second, 7)]

    groups = share_prefixes(prompts)

    assert {(group.prefix_tokens, frozenset(group.members)) for group in groups} == {
        (100, frozenset({0, 2})),
        (100, frozenset({1, 3})),
    }


def test_a_kept_prefix_serves_even_a_single_prompt() -> None:
    system = tuple(range(100))

    assert share_prefixes([(*system, 5, 6)], kept=[(*system, 7)]) == [Group(100, (0,))]


def test_a_short_common_beginning_is_not_worth_a_pass_of_its_own() -> None:
    assert share_prefixes([(1, 2, 3, 4), (1, 2, 3, 5)]) == [Group(0, (0, 1))]


def test_equal_prompts_keep_their_last_token_out_of_the_prefix() -> None:
    prompt = tuple(range(100))

    assert share_prefixes([prompt, prompt]) == [Group(99, (0, 1))]


@given(st.lists(st.integers(1, 50), max_size=40), st.integers(1, 200), st.integers(1, 8))
def test_batches_hold_every_row_once_within_budget_and_rows(
    costs: list[int], budget: int, max_rows: int
) -> None:
    batches = fill_batches(costs, budget, max_rows)

    assert sorted(index for batch in batches for index in batch) == list(range(len(costs)))
    for batch in batches:
        assert len(batch) <= max_rows
        assert len(batch) == 1 or len(batch) * max(costs[index] for index in batch) <= budget
