"""transformers' own continuous batching as one of the server's backends. Imports Torch."""
