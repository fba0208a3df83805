"""Words that pages get from the database and say in the reader's language: marked here, translated where they
stand."""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 (gettext's own name for a mark)
    """Marks a message; the template translates it."""
    return message


#: Of runs, steps, attempts, requests and workers, as chips show them.
STATES = (
    N_("ready"),
    N_("queued"),
    N_("running"),
    N_("waiting"),
    N_("done"),
    N_("failed"),
    N_("cancelled"),
    N_("permanent"),
    N_("transient"),
    N_("deadline"),
    N_("crashed"),
    N_("lost"),
    N_("pending"),
    N_("delivered"),
    N_("skipped"),
    N_("approved"),
    N_("rejected"),
    N_("expired"),
    N_("superseded"),
    N_("executed"),
    N_("abandoned"),
    N_("joining"),
    N_("active"),
    N_("draining"),
    N_("wrong build"),
    N_("quarantined"),
    N_("not consuming"),
    N_("offline"),
    N_("removed"),
)
#: Of approval requests.
TYPES = (
    N_("payment"),
    N_("design decision"),
    N_("api account"),
    N_("content approval"),
    N_("strategic decision"),
)
#: Of the ledger's entries.
KINDS = (
    N_("reserve"),
    N_("settle"),
    N_("release"),
    N_("expense"),
    N_("income"),
    N_("usage"),
    N_("reversal"),
)
