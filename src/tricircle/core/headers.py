"""Which HTTP headers pass between a client and a pod, and which never do.

Everything not named here travels untouched. Names are in lower case, as ASGI
and ``interfaces.cloud`` have them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Header = tuple[bytes, bytes]

HOP_BY_HOP_HEADERS = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authentication-info",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers of one connection (RFC 9110, section 7.6.1); those named in Connection join them."""

FRAMING_HEADERS = frozenset({b"content-length", b"expect", b"host"})
"""Headers that each side makes anew for the connection it speaks on."""

IDENTITY_HEADERS = frozenset(
    {
        b"openstack-system-scope",
        b"remote-user",
        b"x-identity-status",
        b"x-is-admin-project",
        b"x-role",
        b"x-roles",
        b"x-storage-token",
        b"x-tenant",
        b"x-user",
    }
)
"""Headers by which a token middleware tells an application who is calling.

``IDENTITY_PREFIXES`` completes them: keystonemiddleware sets ``X-User-Id``,
``X-Project-Name``, ``X-Service-Roles`` and two dozen more, and those of a client
must reach neither us nor a pod.
"""

IDENTITY_PREFIXES = (b"x-domain-", b"x-project-", b"x-service-", b"x-tenant-", b"x-user-")
TOKEN_HEADERS = frozenset({b"x-auth-token", b"x-service-token", b"x-subject-token"})

FORWARDING_HEADERS = frozenset(
    {
        b"forwarded",
        b"true-client-ip",
        b"via",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-http-method-override",
        b"x-original-uri",
        b"x-original-url",
        b"x-real-ip",
        b"x-rewrite-url",
    }
)
"""Headers that tell a server where a request came from or what it really asks for.

A pod behind a proxy of its own would believe them; so would ours.
"""

FORWARDING_PREFIXES = (b"x-forwarded-",)
INTERNAL_PREFIXES = (b"x-tricircle-",)

_PREFIXES = (*IDENTITY_PREFIXES, *FORWARDING_PREFIXES, *INTERNAL_PREFIXES)
_PASSING_TOKENS = frozenset({b"x-auth-token", b"x-service-token"})
_NEVER = HOP_BY_HOP_HEADERS | FRAMING_HEADERS | IDENTITY_HEADERS | FORWARDING_HEADERS

# Bodies are edited, so they must arrive as they are; a cookie of one pod (or of the
# top's load balancer) is nobody else's business.
_NEVER_TO_POD = _NEVER | {b"accept-encoding", b"cookie", b"cookie2", b"x-subject-token"}

# What a pod says about its own server and host name is untrue of the top's, and a
# token in an answer can only be an accident.
_NEVER_TO_CLIENT = (
    _NEVER
    | TOKEN_HEADERS
    | {
        b"alt-svc",
        b"clear-site-data",
        b"date",
        b"server",
        b"set-cookie",
        b"set-cookie2",
        b"strict-transport-security",
    }
)


def strip_client_headers(headers: Iterable[Header]) -> list[Header]:
    """Return what of a client's headers may travel to a pod, in order.

    The token headers pass, because pods judge the user's own token. A name with an
    underscore never passes: WSGI servers cannot tell ``X_Auth_Token`` from
    ``X-Auth-Token``.
    """
    return _strip(headers, _NEVER_TO_POD)


def strip_pod_headers(headers: Iterable[Header]) -> list[Header]:
    """Return what of a pod's headers may travel to a client, in order."""
    return _strip(headers, _NEVER_TO_CLIENT)


def strip_hop_by_hop(headers: Sequence[Header]) -> list[Header]:
    """Return ``headers`` without those that belong to one connection or to its framing."""
    named = _named_in_connection(headers)
    return [
        header
        for header in headers
        if header[0] not in HOP_BY_HOP_HEADERS
        and header[0] not in FRAMING_HEADERS
        and header[0] not in named
    ]


def _strip(headers: Iterable[Header], never: frozenset[bytes]) -> list[Header]:
    headers = list(headers)
    named = _named_in_connection(headers)
    return [
        header
        for header in headers
        if (name := header[0]) not in never
        and b"_" not in name
        and (not name.startswith(_PREFIXES) or name in _PASSING_TOKENS)
        and name not in named
    ]


def _named_in_connection(headers: Sequence[Header]) -> frozenset[bytes]:
    """Return the names listed in Connection headers, but for those that carry the token.

    Dropping a token because a client listed it would only turn its request into a 401.
    """
    values = [value for name, value in headers if name == b"connection"]
    if not values:
        return frozenset()
    names = {part.strip().lower() for value in values for part in value.split(b",")}
    return frozenset(names - _PASSING_TOKENS)
