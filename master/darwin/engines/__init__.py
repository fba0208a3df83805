"""Evolution's engines: they say what to evaluate next and are told what came of it. Pure."""
