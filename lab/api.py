"""A small client for the OpenStack APIs the lab itself calls, on the standard library alone."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from lab.settings import Settings

TIMEOUT_S = 120


class ApiError(Exception):
    """An answer other than success; `status` is its code."""

    def __init__(self, method: str, url: str, status: int, text: str) -> None:
        super().__init__(f"{method} {url} answered {status}: {text[:500]}")
        self.status = status


def send(
    method: str,
    url: str,
    headers: dict[str, str],
    body: bytes | None = None,
    timeout_s: float = TIMEOUT_S,
) -> tuple[int, dict[str, str], bytes]:
    """Send one request; returns status, headers in lower case, and the body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=timeout_s)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, target or "/", body=body, headers=headers)
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


class Api:
    """Requests with the token of one user, which is fetched at first use."""

    def __init__(self, settings: Settings, user: str, project: str, password: str) -> None:
        self._keystone = settings.keystone.url
        self._identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": {"id": "default"}, "password": password}},
        }
        self._project = project
        self._token = ""
        self._project_id = ""

    def token(self) -> str:
        """The user's token, the same at every call."""
        if not self._token:
            scope = {"project": {"name": self._project, "domain": {"id": "default"}}}
            body = json.dumps({"auth": {"identity": self._identity, "scope": scope}}).encode()
            url = f"{self._keystone}/v3/auth/tokens"
            headers = {"Content-Type": "application/json"}
            status, found, answer = send("POST", url, headers, body)
            if status != 201:
                raise ApiError("POST", url, status, answer.decode(errors="replace"))
            self._token = found["x-subject-token"]
            self._project_id = json.loads(answer)["token"]["project"]["id"]
        return self._token

    def project_id(self) -> str:
        """The id of the project the token is for."""
        self.token()
        return self._project_id

    def request(
        self,
        method: str,
        url: str,
        body: bytes | None = None,
        content_type: str = "application/json",
        timeout_s: float = TIMEOUT_S,
    ) -> Any:
        """The decoded JSON of the answer (None when it is empty); raises ApiError."""
        headers = {"X-Auth-Token": self.token(), "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
        status, _headers, answer = send(method, url, headers, body, timeout_s)
        if status >= 300:
            raise ApiError(method, url, status, answer.decode(errors="replace"))
        return json.loads(answer) if answer else None

    def get(self, url: str, timeout_s: float = TIMEOUT_S) -> Any:
        return self.request("GET", url, timeout_s=timeout_s)

    def post(self, url: str, body: object) -> Any:
        return self.request("POST", url, json.dumps(body).encode())

    def put(self, url: str, body: object = None) -> Any:
        return self.request("PUT", url, None if body is None else json.dumps(body).encode())

    def put_bytes(self, url: str, content: bytes) -> Any:
        return self.request("PUT", url, content, "application/octet-stream")
