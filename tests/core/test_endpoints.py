"""Catalogue URLs and version documents, as Keystone and the services really give them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricircle.core.endpoints import (
    ApiVersion,
    CatalogueUrl,
    choose_endpoint,
    list_document_urls,
    parse_catalogue_url,
    read_version_document,
    renew_versions,
)
from tricircle.core.errors import BadInput
from tricircle.core.model import Endpoint, Service, Version, VersionRange

PROJECT = "5f2b1c7a9d0e4f6c8b3a7e1d2c4f6a8b"
NOVA_RANGE = VersionRange(Version(2, 1), Version(2, 104))


@pytest.mark.parametrize(
    ("service", "url", "root", "version"),
    [
        (Service.COMPUTE, "http://host:8774/v2.1", "http://host:8774", "v2.1"),
        (Service.COMPUTE, "http://host:8774/v2.1/", "http://host:8774", "v2.1"),
        (Service.COMPUTE, "http://host:8774", "http://host:8774", ""),
        (Service.COMPUTE, "http://host/compute/v2.1", "http://host/compute", "v2.1"),
        (Service.COMPUTE, "http://host/compute/", "http://host/compute", ""),
        (Service.COMPUTE, "http://host/v2.1/%(tenant_id)s", "http://host", "v2.1"),
        (Service.COMPUTE, f"http://host/v2/{PROJECT}", "http://host", "v2"),
        (Service.COMPUTE, "HTTPS://host//compute//v2.1//", "https://host/compute", "v2.1"),
        (Service.COMPUTE, " http://host/v2.1\n", "http://host", "v2.1"),
        (Service.COMPUTE, "http://[2001:db8::1]:8774/v2.1", "http://[2001:db8::1]:8774", "v2.1"),
        (Service.VOLUME, "http://host/volume/v3/$(project_id)s", "http://host/volume", "v3"),
        (Service.VOLUME, "http://host:8776/v3/$(tenant_id)s/", "http://host:8776", "v3"),
        (Service.VOLUME, f"http://host:8776/v3/{PROJECT}", "http://host:8776", "v3"),
        (Service.VOLUME, "http://host/v1/volume/v3", "http://host/v1/volume", "v3"),
        (Service.NETWORK, "http://host:9696/", "http://host:9696", ""),
        (Service.NETWORK, "http://host/networking/v2.0", "http://host/networking", "v2.0"),
        (Service.PLACEMENT, "http://host/placement", "http://host/placement", ""),
        (Service.IMAGE, "http://host:9292/v2", "http://host:9292", "v2"),
    ],
)
def test_a_catalogue_url_is_taken_apart(
    service: Service, url: str, root: str, version: str
) -> None:
    assert parse_catalogue_url(service, url) == CatalogueUrl(root, version)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "not an http or https URL"),
        ("host:8774/v2.1", "not an http or https URL"),
        ("ftp://host/v2.1", "not an http or https URL"),
        ("http:///v2.1", "not an http or https URL"),
        ("http://host:99999/v2.1", "not an http or https URL"),
        ("http://[::1/v2.1", "not an http or https URL"),
        ("http://host/v2.1?x=1", "query"),
        ("http://host/v2.1#x", "query"),
        ("http://host/v 2.1", "odd characters"),
        ("http://host\\other/v2.1", "odd characters"),
        ("http://host/../v2.1", "dot segments"),
        ("http://host/%(tenant_id)s", "a project but no version"),
        (f"http://host/v2.1/{PROJECT}/servers", "more than a project"),
    ],
)
def test_a_catalogue_url_that_cannot_be_used_is_refused_with_the_reason(
    url: str, reason: str
) -> None:
    with pytest.raises(BadInput, match=reason):
        parse_catalogue_url(Service.COMPUTE, url)


@pytest.mark.parametrize(
    "url", ["http://admin:s3cret@host/v2.1", "http://admin:s3cret@host:x/v2.1"]
)
def test_credentials_in_a_catalogue_url_are_refused_and_not_shown(url: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_catalogue_url(Service.COMPUTE, url)
    assert "s3cret" not in str(refused.value)


@given(st.text())
def test_any_text_is_a_url_or_refused(text: str) -> None:
    try:
        parsed = parse_catalogue_url(Service.VOLUME, text)
    except BadInput:
        return
    assert parsed.root.startswith(("http://", "https://"))
    assert not parsed.root.endswith("/")


@pytest.mark.parametrize(
    ("service", "url", "asked"),
    [
        (
            Service.COMPUTE,
            CatalogueUrl("http://h/compute", "v2.1"),
            ("http://h/compute/v2.1", "http://h/compute"),
        ),
        (Service.COMPUTE, CatalogueUrl("http://h/compute"), ("http://h/compute",)),
        (Service.NETWORK, CatalogueUrl("http://h", "v2.0"), ("http://h",)),
    ],
)
def test_the_catalogues_own_address_is_asked_first(
    service: Service, url: CatalogueUrl, asked: tuple[str, ...]
) -> None:
    assert tuple(list_document_urls(service, url)) == asked


def _links(href: str) -> list[dict[str, str]]:
    return [
        {"rel": "describedby", "type": "text/html", "href": "https://docs.openstack.org/v9"},
        {"rel": "self", "href": href},
    ]


def _nova(href: str) -> dict[str, object]:
    return {
        "id": "v2.1",
        "status": "CURRENT",
        "version": "2.104",
        "min_version": "2.1",
        "updated": "2013-07-23T11:33:21Z",
        "links": _links(href),
    }


_NOVA_2_0 = {
    "id": "v2.0",
    "status": "DEPRECATED",
    "version": "",
    "min_version": "",
    "links": _links("http://host/v2/"),
}


@pytest.mark.parametrize(
    ("document", "versions"),
    [
        (
            {"versions": [_NOVA_2_0, _nova("http://host/v2.1/")]},
            [ApiVersion(2, "v2", None), ApiVersion(2, "v2.1", NOVA_RANGE)],
        ),
        ({"version": _nova("http://inner/v2.1/")}, [ApiVersion(2, "v2.1", NOVA_RANGE)]),
        (
            {
                "versions": [
                    {
                        "id": "v3.0",
                        "status": "CURRENT",
                        "version": "3.71",
                        "min_version": "3.0",
                        "links": _links("http://host/volume/v3/"),
                    }
                ]
            },
            [ApiVersion(3, "v3", VersionRange(Version(3, 0), Version(3, 71)))],
        ),
        (
            {"versions": [{"id": "v2.0", "status": "CURRENT", "links": _links("http://h/v2.0/")}]},
            [ApiVersion(2, "v2.0", None)],
        ),
        (
            {
                "versions": [
                    {
                        "id": "v1.0",
                        "max_version": "1.39",
                        "min_version": "1.0",
                        "status": "CURRENT",
                        "links": [{"rel": "self", "href": ""}],
                    }
                ]
            },
            [ApiVersion(1, "v1.0", VersionRange(Version(1, 0), Version(1, 39)))],
        ),
        (
            {"versions": [{"id": "v2.17", "status": "CURRENT", "links": _links("http://h/v2/")}]},
            [ApiVersion(2, "v2", None)],
        ),
    ],
    ids=["nova root", "nova version", "cinder", "neutron", "placement", "glance"],
)
def test_version_documents_of_all_services_are_read(
    document: dict[str, object], versions: list[ApiVersion]
) -> None:
    assert list(read_version_document(json.dumps(document).encode())) == versions


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        b"[]",
        b"{}",
        b'{"versions": []}',
        b'{"versions": {}}',
        b'{"versions": [{"id": 2}]}',
        b'{"versions": [{"id": "latest"}]}',
        b'{"versions": [{"id": "v99999999999"}]}',
        b'{"version": {"id": "v2.1", "links": "none"}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_version_document_is_refused(body: bytes) -> None:
    with pytest.raises(BadInput, match="not a version document"):
        read_version_document(body)


@given(st.binary())
def test_any_bytes_are_a_version_document_or_refused(body: bytes) -> None:
    try:
        assert read_version_document(body)
    except BadInput:
        return


def test_of_several_versions_the_one_with_microversions_is_kept() -> None:
    listed = [ApiVersion(2, "v2", None), ApiVersion(2, "v2.1", NOVA_RANGE)]

    endpoint = choose_endpoint(Service.COMPUTE, CatalogueUrl("http://h/compute", "v2"), listed)

    assert endpoint == Endpoint(Service.COMPUTE, "http://h/compute/v2.1", NOVA_RANGE)


def test_host_and_prefix_stay_those_of_the_catalogue() -> None:
    document = json.dumps({"version": _nova("http://inner:8774/v2.1/")}).encode()

    endpoint = choose_endpoint(
        Service.COMPUTE,
        CatalogueUrl("https://cloud/east/compute"),
        read_version_document(document),
    )

    assert endpoint is not None
    assert endpoint.url == "https://cloud/east/compute/v2.1"


@pytest.mark.parametrize(
    ("service", "listed", "url", "versions"),
    [
        (Service.NETWORK, ApiVersion(2, "v2.0", None), "http://h", None),
        (Service.PLACEMENT, ApiVersion(1, "v1.0", NOVA_RANGE), "http://h", NOVA_RANGE),
        (Service.IMAGE, ApiVersion(2, "v2", None), "http://h/v2", None),
    ],
)
def test_neutron_and_placement_are_kept_at_their_roots_and_glance_with_its_version(
    service: Service, listed: ApiVersion, url: str, versions: VersionRange | None
) -> None:
    assert choose_endpoint(service, CatalogueUrl("http://h"), [listed]) == Endpoint(
        service, url, versions
    )


@pytest.mark.parametrize(
    ("service", "listed"),
    [
        (Service.COMPUTE, ApiVersion(2, "v2", None)),
        (Service.COMPUTE, ApiVersion(3, "v3", NOVA_RANGE)),
        (Service.VOLUME, ApiVersion(2, "v2", None)),
        (Service.NETWORK, ApiVersion(3, "v3", None)),
    ],
)
def test_a_service_without_a_usable_version_has_no_endpoint(
    service: Service, listed: ApiVersion
) -> None:
    assert choose_endpoint(service, CatalogueUrl("http://h"), [listed]) is None


def nova(url: str = "http://h/v2.1", minor: int = 90) -> Endpoint:
    return Endpoint(Service.COMPUTE, url, VersionRange(Version(2, 1), Version(2, minor)))


@pytest.mark.parametrize(
    ("kept", "found", "expected"),
    [
        (nova(), nova(minor=104), nova(minor=104)),
        (nova(), nova(), nova()),
        # changed since it was asked, in either way
        (nova(minor=95), nova(minor=104), nova(minor=95)),
        (nova("http://other/v2.1"), nova(minor=104), nova("http://other/v2.1")),
        # served elsewhere now: that is for the operator to say
        (nova(), nova("http://h/v2.2", minor=104), nova()),
    ],
)
def test_versions_are_renewed_of_endpoints_that_are_as_they_were_asked(
    kept: Endpoint, found: Endpoint, expected: Endpoint
) -> None:
    asked = {Service.COMPUTE: nova()}
    renewed = renew_versions({Service.COMPUTE: kept}, asked, {Service.COMPUTE: found})
    assert renewed == {Service.COMPUTE: expected}


def test_a_service_that_was_not_found_or_not_asked_stays() -> None:
    network = Endpoint(Service.NETWORK, "http://h/network")
    kept = {Service.COMPUTE: nova(), Service.NETWORK: network}
    found = {Service.VOLUME: Endpoint(Service.VOLUME, "http://h/v3")}
    assert renew_versions(kept, {Service.COMPUTE: nova()}, found) == kept
