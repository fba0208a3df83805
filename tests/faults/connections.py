"""Networks that break, stall and dawdle."""

from __future__ import annotations

from tests.faults.acting import LEASE_S, Play, fault, hold


@fault("cut off for less than the lease")
def cut_short(play: Play) -> None:
    host = play.any_host().host
    host.cut()
    hold(play.chance.uniform(0.2, 0.8) * LEASE_S)
    host.mend()


@fault("cut off for more than the lease")
def cut_long(play: Play) -> None:
    """Its steps are given to others meanwhile; then it is back, with late results."""
    host = play.any_host().host
    host.cut()
    hold(play.chance.uniform(1.5, 2.5) * LEASE_S)
    host.mend()


@fault("half-open connections")
def half_open(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.half_open = True
        proxy.reset()
    hold(play.chance.uniform(1, 6))
    for proxy in proxies:
        proxy.calm()


@fault("300 ms of latency")
def latency(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.delay_s = 0.3
    hold(play.chance.uniform(2, 6))
    for proxy in proxies:
        proxy.calm()


@fault("stall")
def stall(play: Play) -> None:
    proxies = play.any_host().proxies
    for proxy in proxies:
        proxy.stalled = True
    hold(play.chance.uniform(1, 8))
    for proxy in proxies:
        proxy.calm()


@fault("connections reset")
def reset(play: Play) -> None:
    for _ in range(play.chance.randint(1, 5)):
        for host in play.stage.hosts:
            for proxy in host.proxies:
                proxy.reset()
        hold(0.3)
