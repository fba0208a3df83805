"""The ``d8`` command: its groups, its errors, its exit codes."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import typer

# Typer carries its own copy of Click: its errors are these and no others.
from typer._click import Command, Context
from typer._click.exceptions import ClickException, NoArgsIsHelpError, UsageError
from typer.core import TyperCommand, TyperGroup

from tasks.errors import D8Error

#: Set by a shell that asks for completions (``master/cli/completion.py``).
VARIABLE = "_D8_COMPLETE"

#: Command groups, one module each, loaded when they are used: ``d8 --help`` stays quick.
GROUPS: dict[str, str] = {
    "admin": "Owners, and a way in for one who is locked out: code, owners, reset.",
    "approval": "Questions that wait for you: list, show, approve, reject, done, abandon, rehearse, policy.",
    "client": "Client projects: from a brief to a delivered website.",
    "darwin": "Evolve agents against labelled examples.",
    "ledger": "The money: balance, report, budget, record, reverse, verify, export.",
    "niche": "Study markets from keyword exports.",
    "run": "Runs: list, show, start, cancel, retry.",
    "schedule": "What is started by the clock: add, list, show, on, off, run, executions, cancel, remove.",
    "token": "Tokens for programs, such as Prometheus: create, list, revoke.",
    "webhook": "Addresses that are told what happens: add, list, test, on, off, deliveries, redeliver, remove.",
    "worker": "Workers: list, show, logs, invite, invites, revoke, join, start, drain, resume, update, remove.",
}
#: Single commands and the module that holds each.
COMMANDS: dict[str, tuple[str, str]] = {
    "backup": ("master.cli.backup", "Write the whole fleet into one file."),
    "restore": ("master.cli.backup", "Put a backup into this home."),
    "up": ("master.cli.up", "Start the whole master in this terminal."),
    "down": ("master.cli.up", "Stop the master that runs in this home."),
    "demo": ("master.cli.demo", "Run the main job on real input, start to end."),
    "completion": ("master.cli.completion", "Print your shell's completion of d8's commands."),
    "dashboard": ("master.cli.look", "Print a one-time link to the dashboard."),
    "doctor": ("master.cli.doctor", "Say what is missing and what to do."),
    "events": ("master.cli.look", "Show what happened, newest last."),
    "logs": ("master.cli.logs", "Show what the master's parts have logged."),
    "pause": ("master.cli.look", "Send no more steps; what runs goes on."),
    "resume": ("master.cli.look", "Send steps again."),
    "status": ("master.cli.look", "Show the fleet at a glance."),
    "watch": ("master.cli.watch", "Watch the fleet live in the terminal."),
}


class LazyGroup(TyperGroup):
    """Knows every command's name and help without importing any of them."""

    #: While names are completed, only the command on the line is loaded.
    _resolving = False

    def list_commands(self, ctx: Context) -> list[str]:
        return sorted([*GROUPS, *COMMANDS])

    def get_command(self, ctx: Context, name: str) -> Command | None:
        if name in GROUPS:
            if self._only_named():
                return TyperCommand(name, help=GROUPS[name])
            return typer.main.get_group(importlib.import_module(f"master.cli.{name}").app)
        if name in COMMANDS:
            module, text = COMMANDS[name]
            if self._only_named():
                return TyperCommand(name, help=text)
            return _single(importlib.import_module(module), name)
        return None

    def resolve_command(self, ctx: Context, args: list[str]) -> Any:
        import difflib

        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f": did you mean 'd8 {near[0]}'?" if near else ": 'd8 --help' lists the commands"
            raise UsageError(f"there is no command {args[0]!r}{hint}", ctx)
        self._resolving = True
        try:
            return super().resolve_command(ctx, args)
        finally:
            self._resolving = False

    def _only_named(self) -> bool:
        """Whether the command is to be listed, not run."""
        if VARIABLE in os.environ:
            return not self._resolving
        return len(sys.argv) < 2 or sys.argv[1] in ("--help", "-h")


def _single(module: Any, name: str) -> Command:
    group = typer.main.get_group(module.app)
    return group.commands[name]


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="D8: one private fleet for evolving agents, market studies and client websites.",
)


@app.callback()
def _root() -> None:
    """D8: one private fleet for evolving agents, market studies and client websites."""


def main() -> None:
    """Run the command line; every error becomes one paragraph and its exit code."""
    try:
        if VARIABLE in os.environ:
            from typer._completion_classes import completion_init

            completion_init()
        code = app(prog_name="d8", standalone_mode=False)
    except D8Error as error:
        _say(str(error))
        sys.exit(error.exit_code)
    except NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except ClickException as error:
        _say(error.format_message())
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone (``d8 events | head``): that is its good right.
        sys.stderr.close()
        sys.exit(0)
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    print(f"d8: {text}", file=sys.stderr)
