"""Addresses in the configuration: which can be called, and which are this machine's own."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def url_fault(url: str) -> str:
    """What is wrong with an address to be called; empty if nothing. Never quotes it."""
    try:
        parts: SplitResult = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or not url.isprintable() or " " in url:
        return "must be an http(s) URL, such as 'https://api.example.com/v1'"
    if "@" in parts.netloc or parts.query or parts.fragment:
        return "must hold no user, password, query or fragment; keys belong into credentials"
    return ""
