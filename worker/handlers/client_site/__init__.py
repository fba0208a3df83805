"""How a client's site is written, drawn, rendered and checked: pure functions behind the client handlers."""
