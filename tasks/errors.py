"""Every error that D8 raises on purpose, in one tree.

D8Error                     a person can act on the message; never shown as a traceback
  UsageError                the command or its input is wrong                        exit 2
    InvalidInput            a file or value that came from outside is not acceptable
  Unhealthy                 a part of the installation is missing or not working     exit 3
    Unreachable             the master, the broker or the model server does not answer
  Refused                   the rules forbid it (state, permission, policy)          exit 4
    ClaimRefused            the master refused a worker's claim
    StaleToken              a result or renewal with a token that is no longer current
    MoveNotAllowed          a state change that is not in the table of allowed moves
  NotFound                  no such run, step, worker, approval, model ...           exit 5
  TimedOut                  it did not finish in the time given                      exit 6

HandlerError                raised by a task's handler; decides what happens to the step
  PermanentFailure          trying again cannot help (bad request, bad input): the step fails now
  TransientFailure          trying again may help (service away, out of memory): retried with backoff
  Cancelled                 the step was cancelled while it ran
"""

from __future__ import annotations


class D8Error(Exception):
    """Base of every error meant for a person. ``str(error)`` is one clear paragraph."""

    exit_code = 1


class UsageError(D8Error):
    exit_code = 2


class InvalidInput(UsageError):
    pass


class Unhealthy(D8Error):
    exit_code = 3


class Unreachable(Unhealthy):
    pass


class Refused(D8Error):
    exit_code = 4


class ClaimRefused(Refused):
    pass


class StaleToken(Refused):
    pass


class MoveNotAllowed(Refused):
    pass


class NotFound(D8Error):
    exit_code = 5


class TimedOut(D8Error):
    exit_code = 6


class HandlerError(Exception):
    """Base of what a handler raises to say how its step should go on."""


class PermanentFailure(HandlerError):
    pass


class TransientFailure(HandlerError):
    pass


class Cancelled(HandlerError):
    pass
