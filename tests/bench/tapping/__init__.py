"""Parts of ``scripts/bench taps``: the people, and what must hold in the end."""
