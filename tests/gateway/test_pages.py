"""What no route has is answered in the form that the client wants, as webob does for Nova."""

from __future__ import annotations

import json

import aiohttp
import pytest

from tests.simulated_top import Top
from tricircle.gateway.answers import JSON, Answer
from tricircle.gateway.pages import as_wanted, no_such_resource

PLAIN = "404 Not Found\n\nThe resource could not be found.\n\n   "
HTML = """<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  The resource could not be found.<br /><br />



 </body>
</html>"""


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "text/plain"),
        ("", "text/plain"),
        ("*/*", "text/html"),
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("text/plain", "text/plain"),
        ("application/xml", "text/plain"),
        ("text/html;q=0.5, application/json", "application/json"),
        ("text/html, application/json", "text/html"),
        ("Application/*", "application/json"),
        ("text/*;q=0.3, */*;q=0.4", "application/json"),
        ("application/json;q=0", "text/plain"),
        ("application/json;v=1", "text/plain"),
        ("application/json; q=1.000", "application/json"),
        ("application/json;q=1.5", "text/html"),
        ("gar bage", "text/html"),
    ],
)
def test_the_form_is_the_one_that_webob_chooses(accept: str | None, form: str) -> None:
    """The forms are those that Nova 34 and Cinder 29 were seen to give."""
    headers = [] if accept is None else [(b"accept", accept.encode())]
    answer = as_wanted(no_such_resource(), headers)
    shown = {"text/plain": PLAIN, "text/html": HTML}
    kind = answer.find_header(b"content-type") or b""
    assert (answer.status, kind.decode().partition(";")[0]) == (404, form)
    if form in shown:
        assert answer.body.decode() == shown[form]
    else:
        assert answer == no_such_resource()


def test_what_a_pod_says_of_it_is_escaped_in_html() -> None:
    page = {"message": "No <b>.<br /><br />\n<i>\n\n", "code": "400 Bad Request", "title": "Bad"}
    answer = as_wanted(Answer(400, (JSON,), json.dumps(page).encode()), [(b"accept", b"*/*")])
    assert b"No &lt;b&gt;.<br /><br />\n&lt;i&gt;\n" in answer.body


@pytest.mark.parametrize(
    "body", [b'{"message": "no"}', b'{"message": ', b'{"badRequest": {}}', b""]
)
def test_other_errors_stay_as_they_are(body: bytes) -> None:
    answer = Answer(400, (JSON,), body)
    assert as_wanted(answer, [(b"accept", b"*/*")]) is answer


async def test_a_gateway_answers_as_a_pod_to_whoever_does_not_say_what_he_wants(
    top: Top, http: aiohttp.ClientSession
) -> None:
    url = f"{top.volume}/v3/no-such-thing"
    async with http.get(url, headers={**top.member(), "Accept": "*/*"}) as response:
        assert response.status == 404
        assert response.content_type == "text/html"
        assert await response.text() == HTML
