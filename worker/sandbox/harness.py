"""The program that runs the given code, on whichever side of a wall: the standard library only.

Reads one line of JSON from standard input: ``{"code", "inputs", "mark", "most"}``. Prints, after
whatever the code printed, the mark and ``{"outputs": ...}`` or ``{"error": ...}``. The mark is different
each time; code that guesses it deceives nobody but itself.
"""

import json
import sys
import traceback


def main() -> None:
    given = json.loads(sys.stdin.readline())
    names = {"__name__": "__main__", "inputs": given["inputs"]}
    try:
        exec(compile(given["code"], "<code>", "exec"), names)  # noqa: S102 (this is what it is for)
        text = json.dumps({"outputs": names.get("outputs", {})}, allow_nan=False)
        if not isinstance(names.get("outputs", {}), dict):
            text = json.dumps({"error": "the variable outputs has to be a dict"})
        elif len(text) > given["most"]:
            text = json.dumps(
                {"error": f"outputs has {len(text)} bytes as JSON, {given['most']} are allowed"}
            )
    except MemoryError:
        text = json.dumps({"memory": True})
    except BaseException as error:  # noqa: BLE001 (also what the code raises to leave)
        lines = traceback.format_exception(error)
        # Our own frame is no news to who wrote the code.
        text = json.dumps({"error": "".join([lines[0], *lines[2:]])[-4000:]})
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout.write("\n" + given["mark"] + text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
