"""Tokens are drawn from what top-k and top-p allow, as often as their probabilities say."""

from __future__ import annotations

import torch

from worker.models.native.sampling import Draw, choose_tokens


def test_top_k_and_top_p_draw_only_from_what_they_allow() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    def drawn(top_p: float, top_k: int) -> set[int]:
        return {choose_tokens(logits, [Draw(1.0, top_p, top_k, 3, step)])[0] for step in range(1000)}

    assert drawn(1.0, 0) == {0, 1, 2, 3}
    assert drawn(1.0, 2) == {1, 3}
    assert drawn(0.79, 0) == {1, 3}
    assert drawn(0.9, 3) == {1, 2, 3}
    assert drawn(1e-6, 0) == {1}


def test_draws_follow_the_probabilities() -> None:
    logits = torch.log(torch.tensor([[0.05, 0.5, 0.15, 0.3]]))

    tokens = [choose_tokens(logits, [Draw(1.0, 1.0, 0, 3, step)])[0] for step in range(4000)]

    # Seeded, so the same every time; within three standard deviations of 200, 2000, 600 and 1200.
    for token, (share, spread) in enumerate([(200, 42), (2000, 95), (600, 68), (1200, 87)]):
        assert abs(tokens.count(token) - share) < spread


def test_draws_over_many_blocks_follow_the_probabilities_and_hardly_mind_rounding() -> None:
    torch.manual_seed(2)
    logits = torch.randn((1, 3000)) * 2
    noisy = logits + torch.randn_like(logits) * 1e-5
    draws = [Draw(1.0, 1.0, 0, 9, step) for step in range(3000)]

    exact = [choose_tokens(logits, [draw])[0] for draw in draws]
    near = [choose_tokens(noisy, [draw])[0] for draw in draws]

    assert sum(1 for one, other in zip(exact, near, strict=True) if one != other) <= 1
    expected = torch.softmax(logits[0], dim=0)
    likely = expected.topk(5).indices.tolist()
    for token in likely:
        share = float(expected[token]) * len(draws)
        assert abs(exact.count(token) - share) < 4 * share**0.5


def test_top_p_reaches_beyond_the_tokens_looked_at_first() -> None:
    logits = torch.zeros((1, 5000))

    found = {choose_tokens(logits, [Draw(1.0, 0.99, 0, 3, step)])[0] for step in range(50)}

    assert max(found) > 4000
