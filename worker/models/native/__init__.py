"""D8's own engine: one thread per device, prefixes computed once, rows that join and leave at every step."""
