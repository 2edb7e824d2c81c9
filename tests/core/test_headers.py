"""Which headers pass between client and pod."""

from __future__ import annotations

import pytest

from tricircle.core.headers import (
    strip_client_headers,
    strip_hop_by_hop,
    strip_pod_headers,
)

HOP_BY_HOP = [
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
]
# Every header of keystonemiddleware.auth_token._request, and what oslo.context reads.
IDENTITY = [
    b"openstack-system-scope",
    b"x-domain-id",
    b"x-domain-name",
    b"x-identity-status",
    b"x-is-admin-project",
    b"x-project-domain-id",
    b"x-project-domain-name",
    b"x-project-id",
    b"x-project-name",
    b"x-role",
    b"x-roles",
    b"x-service-catalog",
    b"x-service-domain-id",
    b"x-service-identity-status",
    b"x-service-project-id",
    b"x-service-roles",
    b"x-service-user-id",
    b"x-service-user-name",
    b"x-storage-token",
    b"x-tenant",
    b"x-tenant-id",
    b"x-tenant-name",
    b"x-user",
    b"x-user-domain-id",
    b"x-user-id",
    b"x-user-name",
]
FORWARDING = [
    b"forwarded",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-prefix",
    b"x-forwarded-proto",
    b"x-http-method-override",
    b"x-original-url",
    b"x-real-ip",
]
INTERNAL = [b"x-tricircle-missing-pods", b"x-tricircle-anything"]
FRAMING = [b"content-length", b"host"]


@pytest.mark.parametrize("name", HOP_BY_HOP + IDENTITY + FORWARDING + INTERNAL + FRAMING)
def test_a_header_that_belongs_to_one_side_passes_in_neither_direction(name: bytes) -> None:
    assert strip_client_headers([(name, b"x")]) == []
    assert strip_pod_headers([(name, b"x")]) == []


@pytest.mark.parametrize(
    "name",
    [
        b"x-auth-token",
        b"x-service-token",
        b"accept",
        b"content-type",
        b"openstack-api-version",
        b"user-agent",
        b"x-openstack-nova-api-version",
        b"x-openstack-request-id",
        b"x-unknown-header",
    ],
)
def test_what_the_pod_needs_or_we_do_not_know_reaches_the_pod(name: bytes) -> None:
    assert strip_client_headers([(name, b"x")]) == [(name, b"x")]


@pytest.mark.parametrize("name", [b"accept-encoding", b"cookie", b"x-subject-token"])
def test_a_header_that_a_pod_must_not_see_is_kept_from_it(name: bytes) -> None:
    assert strip_client_headers([(name, b"x")]) == []


@pytest.mark.parametrize("name", [b"x_user_id", b"x_auth_token", b"http_x_roles", b"x-roles_"])
def test_a_name_with_an_underscore_never_passes(name: bytes) -> None:
    assert strip_client_headers([(name, b"x")]) == []
    assert strip_pod_headers([(name, b"x")]) == []


@pytest.mark.parametrize(
    "name",
    [b"set-cookie", b"x-auth-token", b"x-subject-token", b"server", b"strict-transport-security"],
)
def test_what_is_true_of_the_pod_only_is_kept_from_the_client(name: bytes) -> None:
    assert strip_pod_headers([(name, b"x")]) == []


@pytest.mark.parametrize(
    "name",
    [
        b"content-type",
        b"location",
        b"openstack-api-version",
        b"retry-after",
        b"vary",
        b"www-authenticate",
        b"x-compute-request-id",
        b"x-openstack-request-id",
    ],
)
def test_what_a_pod_tells_the_client_passes(name: bytes) -> None:
    assert strip_pod_headers([(name, b"x")]) == [(name, b"x")]


def test_order_and_repetition_are_kept() -> None:
    headers = [(b"vary", b"a"), (b"x-one", b"1"), (b"vary", b"b")]
    assert strip_pod_headers(headers) == headers
    assert strip_client_headers(headers) == headers


def test_headers_named_in_connection_go_with_it() -> None:
    headers = [(b"connection", b"close, X-Private"), (b"x-private", b"1"), (b"accept", b"*/*")]
    assert strip_client_headers(headers) == [(b"accept", b"*/*")]
    assert strip_pod_headers(headers) == [(b"accept", b"*/*")]
    assert strip_hop_by_hop(headers) == [(b"accept", b"*/*")]


def test_a_client_cannot_make_us_drop_its_token_on_the_way_to_a_pod() -> None:
    headers = [(b"x-auth-token", b"t"), (b"connection", b"x-auth-token")]
    assert strip_client_headers(headers) == [(b"x-auth-token", b"t")]


def test_strip_hop_by_hop_leaves_what_belongs_to_the_message() -> None:
    headers = [(b"set-cookie", b"a=b"), (b"server", b"s"), (b"content-length", b"3")]
    assert strip_hop_by_hop(headers) == headers[:2]
