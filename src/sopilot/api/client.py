"""Where a request comes from. The peer of the connection, unless that is a proxy of ours.

No header is believed from anybody else, so that none can change whom a limit counts against or
what the audit log says.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import cache
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

_PROXY_MARKS = frozenset({"forwarded", "x-real-ip", "via"})
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?")
_HOP = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+)\](:\d+)?|(?P<four>[0-9.]+):\d+")
_SITE_BITS = 64
"""An IPv6 subscriber has a whole network of addresses; limits count it as one."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def client_address(request: HTTPConnection, proxies: Sequence[str]) -> str:
    """The client's address; behind trusted proxies the last hop that none of them is.

    proxies: addresses or networks. Empty where the connection has no peer (a socket file).
    """
    peer = request.client.host if request.client else ""
    found = _address(peer)
    if found is None or not _is_in(found, proxies):
        return peer
    hops = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in reversed(hops):
        named = _address(_bare(hop.strip()))
        if named is None:
            break
        found = named
        if not _is_in(named, proxies):
            break
    return str(found)


def limit_key(address: str) -> str:
    """Whom a limit counts against: an IPv4 address, or the network of an IPv6 one."""
    found = _address(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, _SITE_BITS), strict=False))
    return str(found) if found else address


def is_proxy(request: HTTPConnection, proxies: Sequence[str]) -> bool:
    """Whether the peer is a trusted proxy, whatever it says about its client."""
    peer = _address(request.client.host) if request.client else None
    return peer is not None and _is_in(peer, proxies)


def is_https(request: HTTPConnection, proxies: Sequence[str]) -> bool:
    """Whether the client speaks TLS, to us or to a trusted proxy."""
    if request.url.scheme == "https":
        return True
    if not is_proxy(request, proxies):
        return False
    return request.headers.get("x-forwarded-proto", "").rpartition(",")[2].strip() == "https"


def is_local_program(request: HTTPConnection) -> bool:
    """Is the caller a program on this machine, addressing this machine by a local name?"""
    if request.client is None or not _is_loopback(request.client.host):
        return False
    if any(name in _PROXY_MARKS or name.startswith("x-forwarded") for name in request.headers):
        return False
    host = _HOST.fullmatch(request.headers.get("host", ""))
    if host is None or not _is_loopback(host["name"]):
        return False
    origin = request.headers.get("origin")
    return origin is None or _is_loopback(_host_of(origin))


def is_own_page(request: HTTPConnection, origins: Sequence[str]) -> bool:
    """Whether a browser would send this request from a page of ours, by its own marks.

    origins: whose pages count as ours too. A program that is no browser sends neither mark; then
    nothing speaks against it.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin in origins:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:  # no page can set it; it holds also where a proxy renames the host
        return site in ("same-origin", "none")
    if origin is None:
        return True
    try:
        host = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return bool(host) and host == request.headers.get("host", "").lower()


def _host_of(origin: str) -> str:
    """The host of an Origin header; empty when it names none."""
    try:
        return urlsplit(origin).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    found = _address(name)
    return found is not None and found.is_loopback


def _bare(hop: str) -> str:
    """An address of X-Forwarded-For without its port."""
    found = _HOP.fullmatch(hop)
    return hop if found is None else found["six"] or found["four"]


def _address(text: str) -> Address | None:
    """An address; one that is IPv4 inside of IPv6 as IPv4."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _is_in(address: Address, networks: Sequence[str]) -> bool:
    return any(address in _network(item) for item in networks)


@cache  # of the settings' few networks: every request asks several times
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(text, strict=False)
