"""What every client sends of an attempt's request: the client's headers and the credential's."""

from __future__ import annotations

from gateway.upstream.base import Outgoing
from gateway.wire.headers import credential_header, default_version


def request_headers(outgoing: Outgoing) -> list[tuple[str, str]]:
    key = outgoing.credential.key.reveal()
    added = (
        credential_header(outgoing.dialect, outgoing.headers, key),
        default_version(outgoing.dialect, outgoing.headers),
        # The client gets the bytes that come; compressed ones would have to be decoded on the way.
        ("Accept-Encoding", "identity"),
    )
    headers = [*outgoing.headers, *(header for header in added if header is not None)]
    # aiohttp would let `x-a` replace an earlier `X-A`; of one spelling it keeps both.
    spelled: dict[str, str] = {}
    return [(spelled.setdefault(name.lower(), name), value) for name, value in headers]
