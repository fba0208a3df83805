"""Where a webhook may lead. An owner's receivers stand in their network; the master's own services do not."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from tasks.errors import InvalidInput, Refused, Unreachable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

#: Where clouds answer with a machine's credentials, beside the link-local 169.254.169.254.
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Target:
    """A URL, taken apart and checked."""

    https: bool
    host: str
    port: int
    #: Path and query.
    path: str


def read_url(url: str) -> Target:
    """``InvalidInput`` for what is no plain http or https address."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        raise InvalidInput(f"{url[:80]!r} is no address of a receiver, such as https://example.com/hooks/d8")
    if parts.username is not None or parts.fragment:
        raise InvalidInput(
            "a receiver's address has no user, password or fragment: its deliveries are signed"
        )
    https = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(https=https, host=parts.hostname, port=port or (443 if https else 80), path=path)


def resolve(host: str, port: int) -> Sequence[str]:
    """The host's addresses. ``Unreachable`` when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"the host {host[:80]!r} is not known here ({error}): check the address") from None
    return list(dict.fromkeys(str(each[4][0]) for each in found))


def find_address(target: Target, *, allow_local: bool, resolve: Resolve = resolve) -> str:
    """An address to connect to: what was looked up is what is connected to. ``Refused`` when any of the host's
    addresses is one that no webhook may lead to."""
    addresses = resolve(target.host, target.port)
    for text in addresses:
        if why := _why_not(_plain(ipaddress.ip_address(text.partition("%")[0])), allow_local):
            raise Refused(
                f"{target.host!r} leads to {text}, {why}: a webhook goes to a machine of your network or of the "
                f"internet (--allow-local lets it stay on the master's own)"
            )
    if not addresses:
        raise Unreachable(f"the host {target.host[:80]!r} has no address: check it")
    return addresses[0]


def _plain(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped or address.sixtofour:
            return address.ipv4_mapped or address.sixtofour or address
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _why_not(address: Address, allow_local: bool) -> str:
    if address in _METADATA or str(address) == "169.254.169.254":
        return "where a cloud keeps a machine's credentials"
    if address.is_multicast or address.is_unspecified or (address.is_reserved and address.version == 4):
        return "which is no machine's address"
    if not allow_local and address.is_loopback:
        return "the master itself"
    if not allow_local and address.is_link_local:
        return "which is known on this link only"
    return ""
