"""The simulated Keystone as keystoneauth and keystonemiddleware see it."""

from typing import Any

import pytest
import webob
from keystoneauth1 import exceptions, session
from keystoneauth1.identity import v3
from keystonemiddleware import auth_token

from tricircle.testing.cloud import SimulatedCloud

Served = tuple[SimulatedCloud, str]


def sign_in(url: str, user: str = "demo", **more: Any) -> session.Session:
    auth = v3.Password(
        f"{url}/identity/v3",
        username=user,
        password="secret",
        project_name=more.pop("project", "demo"),
        user_domain_id="default",
        project_domain_id="default",
        **more,
    )
    return session.Session(auth=auth)


def test_a_password_gives_a_token_with_the_catalogue(served: Served) -> None:
    _, url = served
    signed_in = sign_in(url)
    assert signed_in.get_endpoint(service_type="compute", region_name="pod1") == (
        f"{url}/pod1/compute/v2.1"
    )
    project_id = signed_in.get_project_id()
    assert signed_in.get_endpoint(service_type="volumev3", region_name="pod2") == (
        f"{url}/pod2/volume/v3/{project_id}"
    )


def test_a_wrong_password_is_401(served: Served) -> None:
    _, url = served
    with pytest.raises(exceptions.Unauthorized, match="requires authentication"):
        sign_in(url, project="admin").get_token()


def test_a_token_can_be_rescoped(served: Served) -> None:
    cloud, url = served
    cloud.token("demo", "second", ["member"])
    auth = v3.Token(
        f"{url}/identity/v3",
        sign_in(url).get_token() or "",
        project_name="second",
        project_domain_id="default",
    )
    assert session.Session(auth=auth).get_project_id() == cloud.project_id("second")


def test_a_revoked_token_is_worthless(served: Served) -> None:
    cloud, url = served
    token = cloud.token("demo", "demo")
    cloud.identity.revoke(token)
    answer = session.Session().get(
        f"{url}/pod1/compute/v2.1/servers", headers={"X-Auth-Token": token}, raise_exc=False
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == f'Keystone uri="{url}/identity/v3"'


def test_services_and_endpoints_are_listed_for_admins_only(served: Served) -> None:
    _, url = served
    admin = sign_in(url, "admin", project="admin")
    endpoints = admin.get(f"{url}/identity/v3/endpoints?region_id=pod2&interface=public").json()[
        "endpoints"
    ]
    assert {item["url"].removeprefix(url).split("/")[1] for item in endpoints} == {
        "pod2", "identity", "image",
    }  # fmt: skip
    with pytest.raises(exceptions.Forbidden):
        sign_in(url).get(f"{url}/identity/v3/endpoints")


def test_projects_can_be_found_by_name(served: Served) -> None:
    cloud, url = served
    admin = sign_in(url, "admin", project="admin")
    found = admin.get(f"{url}/identity/v3/projects?name=demo").json()["projects"]
    assert [project["id"] for project in found] == [cloud.project_id("demo")]


class Echo:
    """A WSGI application that shows who keystonemiddleware says is calling."""

    @webob.dec.wsgify  # type: ignore[untyped-decorator]  # webob has no types
    def __call__(self, request: webob.Request) -> webob.Response:
        return webob.Response(request.headers.get("X-User-Name", "nobody"))


def protected(url: str) -> auth_token.AuthProtocol:
    options = {
        "www_authenticate_uri": f"{url}/identity/v3",
        "auth_url": f"{url}/identity/v3",
        "auth_type": "password",
        "username": "tricircle",
        "password": "secret",
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "oslo_config_project": "nothing",
        "service_type": "compute",
    }
    return auth_token.AuthProtocol(Echo(), options)


@pytest.mark.filterwarnings("ignore")
def test_keystonemiddleware_accepts_a_token(served: Served) -> None:
    cloud, url = served
    request = webob.Request.blank("/servers")
    request.headers["X-Auth-Token"] = cloud.token("demo", "demo")
    assert request.get_response(protected(url)).text == "demo"


@pytest.mark.filterwarnings("ignore")
def test_keystonemiddleware_and_the_services_refuse_alike(served: Served) -> None:
    _, url = served
    request = webob.Request.blank("/servers")
    request.headers["X-Auth-Token"] = "nonsense"
    expected = request.get_response(protected(url))
    answer = session.Session().get(
        f"{url}/pod1/compute/v2.1/servers", headers={"X-Auth-Token": "nonsense"}, raise_exc=False
    )
    assert answer.status_code == expected.status_code == 401
    assert answer.json() == expected.json
    assert answer.headers["www-authenticate"] == expected.headers["www-authenticate"]


def test_an_application_credential_may_do_what_its_rules_say(served: Served) -> None:
    cloud, url = served
    accounts = cloud.identity.accounts
    user, project = accounts.find_user("demo"), accounts.find_project("demo")
    assert user is not None
    assert project is not None
    rules = [("compute", "GET", "/v2.1/servers/**")]
    made = accounts.add_credential(user, project, "ci", "key", rules)
    auth = v3.ApplicationCredential(
        f"{url}/identity/v3", application_credential_id=made.id, application_credential_secret="key"
    )
    bound = session.Session(auth=auth)
    base = f"{url}/pod1/compute/v2.1"
    assert bound.get(f"{base}/servers/detail").status_code == 200
    assert bound.get(f"{base}/flavors", raise_exc=False).status_code == 401
