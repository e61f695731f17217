"""The page that shows the OpenAPI document to people."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

from openapi_contracts import HOSTILE_NAMES, SIGNATURES, contract_of, every_contract

from palate.serving._openapi.document import openapi_document
from palate.serving._openapi.page import docs_policy, render_docs


class _Page(HTMLParser):
    """What stands on a page: its elements, what they refer to, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]
        if tag not in ("meta", "br"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_page_fetches_nothing() -> None:
    """The page has no script, no inline style, and refers to nothing but the document beside it."""
    page = _Page(render_docs(openapi_document(every_contract())).decode())
    assert page.links[0] == "openapi.json"
    assert all(link.startswith("#") for link in page.links[1:])
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on") or name == "style"}


def test_page_shows_what_is_known() -> None:
    """The page shows every route, and a column's type, bounds, categories and whether it is required."""
    document = openapi_document([contract_of(SIGNATURES["facts"], name="customers")])
    text = " ".join(_Page(render_docs(document, base_url="http://host:1").decode()).texts)
    for path in document["paths"]:
        assert (path in text) == ("/versions/" not in path)
    for told in (
        "at least 1; at most 150",
        'one of "red", "green", null',
        "integer (int64)",
        "required",
        "Europe/Vienna",
    ):
        assert told in text
    assert "curl http://host:1/models/customers/predict --header 'Content-Type: application/json' --data '{" in text


def _page_of(name: str, path: str = "/models/model/predict") -> str:
    """Return the text of the one route on the page of a model."""
    document = openapi_document([contract_of(SIGNATURES[name])])
    page = render_docs({**document, "paths": {path: document["paths"][path]}}).decode()
    return "".join(_Page(page.partition("<main>")[2].partition("</main>")[0]).texts)


def test_page_begins_with_its_contents() -> None:
    """A link for each part leads to it, and what paths with a version do is said once."""
    page = render_docs(openapi_document([contract_of(SIGNATURES["facts"], name="customers")])).decode()
    links = [link.removeprefix("#") for link in _Page(page).links[1:]]
    assert len(links) == page.count("<section ")
    assert all(f'<section id="{link}">' in page for link in links)
    assert page.count("/versions/N") == 1


def test_page_shows_other_versions() -> None:
    """A version that the path without one does not lead to is shown."""
    contracts = [contract_of(SIGNATURES[name], version=number) for name, number in (("facts", "2"), ("params", "1"))]
    page = render_docs(openapi_document(contracts)).decode()
    assert "/models/model/versions/1/predict" in page
    assert "/models/model/versions/2/predict" not in page


def test_page_has_no_command_without_an_example() -> None:
    """Where no body is known that would be taken, a sentence stands for the command."""
    told = _page_of("none")
    assert "There is no example" in told
    assert "--data" not in told
    assert "--data" in _page_of("scalars")


def test_page_says_what_null_is() -> None:
    """Once for a body in which a cell may be null, and not where none may."""
    note = "only if the model takes missing values"
    assert _page_of("scalars").count(note) == 1
    assert note not in _page_of("complete")
    assert note not in _page_of("none", "/v2/models/model/infer")


def test_page_explains_alternatives() -> None:
    """The forms of a body, and keys of which one is sent, are told in words."""
    told = _page_of("scalars", "/invocations")
    assert "Send exactly one of dataframe_split, dataframe_records, instances, inputs." in told
    assert "A list for each column, all of the same length" in told
    assert "form 1" not in told


def test_page_leaves_out_limits_of_types() -> None:
    """The bounds that a type has anyway are not told; a column's own are."""
    told = _page_of("scalars") + _page_of("tensor_pairs")
    assert not re.search("at least|at most|more than|less than", told)
    assert "at least 1; at most 150" in _page_of("facts")


def test_page_escapes_names() -> None:
    """Names of columns and models are text on the page, whatever is in them."""
    contract = contract_of(SIGNATURES["hostile"], name="<img src=x onerror=alert(1)>")
    page = _Page(render_docs(openapi_document([contract], title="<b>&")).decode())
    assert {"img", "b"}.isdisjoint(page.tags)
    assert {name for name in HOSTILE_NAMES if name.isprintable() and name} <= set(page.texts)


def test_page_has_a_policy() -> None:
    """The policy allows the page's own style, by its hash, and nothing else."""
    page = render_docs(openapi_document([])).decode()
    style = page.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert docs_policy().decode().startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
