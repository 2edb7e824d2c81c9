"""Who is asking: token checks as the gateways and the Admin API need them."""

from __future__ import annotations

from typing import Protocol

from tricircle.core.model import Caller
from tricircle.interfaces.cloud import Headers


class TokenChecker(Protocol):
    """Checks the token of a request against Keystone, through short-lived caches."""

    async def check(self, headers: Headers, method: str, path: str) -> Caller:
        """Return who the token in ``headers`` belongs to.

        ``method`` and ``path`` (percent-encoded, without query) are for the access rules
        of application credentials. Raises Unauthorized without or with a bad token, and
        for what access rules do not allow, as keystonemiddleware does everywhere;
        ServiceUnavailable when Keystone cannot be asked.
        """
        ...

    def find_cached(self, headers: Headers, method: str, path: str) -> Caller | None:
        """Return the caller when it is known without asking anyone: the hot path."""
        ...
