"""Models by https: and s3: URIs: fetched once, asked for again by their tags, and never another one than was meant."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hostile_archives import VERDICTS, sample, valid_members
from relay import Answer, Asked, Site, site
from signing_keys import make_key, write_key
from sklearn.linear_model import LinearRegression

import palate
from palate import packing
from palate.errors import InvalidArchive, InvalidModelFile, ModelChanged, RemoteFailed, WrongModel
from palate.signing import sign_model

DATA = np.array([[0.0], [1.0]])
MODEL = LinearRegression().fit(DATA, [1.0, 3.0])
HOSTILE = [name for name, verdict in VERDICTS.items() if verdict != "tolerated"][::9]


class Files:
    """What a server has: the content of each path, with a tag made of it, or none."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.has_tags = True
        self.sent: list[str] = []

    def __call__(self, request: Asked) -> Answer:
        content = self.contents.get(request.path)
        if content is None:
            return Answer(status=404)
        tag = f'"{hash(content)}"'
        if self.has_tags and request.headers.get("if-none-match") == tag:
            return Answer(status=304, headers={"ETag": tag})
        self.sent.append(request.path)
        return Answer(body=content, headers={"ETag": tag} if self.has_tags else {})


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the cache of this test."""
    monkeypatch.setenv("PALATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return a model in one file, the same with a signature, and another one."""
    folder = tmp_path_factory.mktemp("archives")
    palate.save_model(MODEL, folder / "m", input_example=DATA)
    packing.pack_model(folder / "m", folder / "plain")
    sign_model(folder / "m", write_key(make_key(), folder, "key")[0])
    packing.pack_model(folder / "m", folder / "signed")
    palate.save_model(LinearRegression().fit(DATA, [5.0, 6.0]), folder / "n")
    packing.pack_model(folder / "n", folder / "other")
    names = ("plain", "signed", "other", "key.pub")
    return {name: (folder / name).read_bytes() for name in names}


@pytest.fixture
def files() -> Files:
    """Return what the server has."""
    return Files()


@pytest.fixture
def server(files: Files) -> Iterator[Site]:
    """Return a server on this machine."""
    with site(files) as running:
        yield running


def digest_of(uri: str) -> str:
    """Return the identity of the model at a URI."""
    digest = palate.inspect_model(uri).digest
    assert digest is not None
    return digest


def left_in(cache: Path) -> list[str]:
    """Return everything in the cache below its folder of models."""
    return sorted(str(path.relative_to(cache / "models")) for path in (cache / "models").rglob("*"))


# -- fetched once ------------------------------------------------------------------------------------------------------


def test_a_model_comes_once(archives, files, server) -> None:
    """The first load fetches it; the second asks with the tag, is told that nothing is new, and fetches nothing."""
    files.contents["/m.palate"] = archives["plain"]
    for _ in range(2):
        loaded = palate.load_model(f"{server.url}/m.palate")
        assert np.array_equal(loaded.predict(DATA), MODEL.predict(DATA))
    assert files.sent == ["/m.palate"]
    assert "if-none-match" not in server.asked[0].headers
    assert all("if-none-match" in one.headers for one in server.asked[1:])
    assert len(server.asked) == 2


def test_a_model_comes_from_an_encrypted_server(archives, files, certificate, monkeypatch) -> None:
    """An https: URI is opened like a path."""
    files.contents["/m.palate"] = archives["plain"]
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with site(files, certificate=certificate) as encrypted:
        assert palate.load_model(f"{encrypted.url}/m.palate").flavor == "sklearn"
        assert palate.verify_model(f"{encrypted.url}/m.palate").ok
    assert files.sent == ["/m.palate"]


def test_a_model_that_was_changed_comes_again(archives, files, server) -> None:
    """What the server has now is loaded, and when it has the first one again, that."""
    digests = []
    for name in ("plain", "other", "plain"):
        files.contents["/m.palate"] = archives[name]
        digests.append(digest_of(f"{server.url}/m.palate"))
    assert digests[0] == digests[2] != digests[1]
    assert len(files.sent) == 3


def test_without_tags_it_comes_every_time(archives, files, server) -> None:
    """A server that gives no tag is asked for the whole each time: nothing else tells whether it is the same."""
    files.contents["/m.palate"], files.has_tags = archives["plain"], False
    assert digest_of(f"{server.url}/m.palate") == digest_of(f"{server.url}/m.palate")
    assert len(files.sent) == 2


def test_eight_processes_fetch_it_once(archives, files, server) -> None:
    """Of eight that open it at the same moment, one fetches it, and the others find what has come."""
    files.contents["/m.palate"] = archives["plain"]
    script = """
import sys
from palate.locations import locate
print("ready", flush=True)
sys.stdin.readline()
print(locate(sys.argv[1]).path.name)
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", script, f"{server.url}/m.palate"]
    running = [subprocess.Popen(command, **pipes) for _ in range(8)]
    assert [one.stdout.readline() for one in running] == ["ready\n"] * 8
    for one in running:
        one.stdin.write("go\n")
        one.stdin.flush()
    found = {one.communicate()[0] for one in running}
    assert len(found) == 1
    assert [one.returncode for one in running] == [0] * 8
    assert files.sent == ["/m.palate"]
    assert len(server.asked) == 8


# -- the model that was meant ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "signed"])
def test_of_a_pinned_model_nobody_is_asked_twice(archives, files, server, name) -> None:
    """What has come from there, and is that very model, is opened without the server, which may be gone."""
    files.contents["/m.palate"] = archives[name]
    pinned = f"{server.url}/m.palate@sha256:{digest_of(f'{server.url}/m.palate')}"
    asked = len(server.asked)
    files.contents.clear()
    assert palate.load_model(pinned).flavor == "sklearn"
    assert len(server.asked) == asked
    with pytest.raises(RemoteFailed, match="nothing is there"):
        palate.load_model(f"{server.url}/m.palate")


def test_another_model_than_the_pinned_one_is_refused(archives, files, server) -> None:
    """Whether it was fetched before or not, and the right one comes when it is there."""
    files.contents["/m.palate"] = archives["plain"]
    pinned = f"{server.url}/m.palate@sha256:{digest_of(f'{server.url}/m.palate')}"
    files.contents["/m.palate"] = archives["other"]
    digest_of(f"{server.url}/m.palate")
    for _ in range(2):
        with pytest.raises(WrongModel, match=r"is not the model that was asked for.*Hint: "):
            palate.load_model(pinned)
    files.contents["/m.palate"] = archives["plain"]
    assert palate.load_model(pinned).flavor == "sklearn"


def test_a_signature_is_not_lost_to_the_cache(archives, files, server, tmp_path) -> None:
    """That the same model is there unsigned, from elsewhere, does not keep a signed one from being fetched."""
    (tmp_path / "key.pub").write_bytes(archives["key.pub"])
    files.contents = {"/plain.palate": archives["plain"], "/signed.palate": archives["signed"]}
    digest = digest_of(f"{server.url}/plain.palate")
    loaded = palate.load_model(f"{server.url}/signed.palate@sha256:{digest}", signed_by=tmp_path / "key.pub")
    assert loaded.flavor == "sklearn"


def test_what_is_damaged_in_the_cache_is_fetched_again(archives, files, server, cache) -> None:
    """Whatever file of it, also where the server is only asked whether something is new."""
    files.contents["/m.palate"] = archives["plain"]
    digest = digest_of(f"{server.url}/m.palate")
    for name in sorted(os.listdir(cache / "models" / digest)):
        (cache / "models" / digest / name).write_bytes(b"damaged")
        assert palate.load_model(f"{server.url}/m.palate").flavor == "sklearn"
        assert digest_of(f"{server.url}/m.palate") == digest


# -- what is no model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_leaves_nothing(files, server, cache, tmp_path, name) -> None:
    """It is refused by the address that it came from, and neither the file nor a part of it stays."""
    palate.save_model(MODEL, tmp_path / "m")
    files.contents["/m.palate"] = sample(name, valid_members(tmp_path / "m"))
    with pytest.raises((InvalidArchive, InvalidModelFile, ModelChanged)) as caught:
        palate.load_model(f"{server.url}/m.palate")
    if not isinstance(caught.value, InvalidModelFile):
        assert f"{server.url}/m.palate" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert left_in(cache) == []


@pytest.mark.parametrize("body", [b"", b"<html>please log in</html>"])
def test_a_page_is_no_model(files, server, cache, body) -> None:
    """A page of a portal, which comes with 200, is refused."""
    files.contents["/m.palate"] = body
    with pytest.raises(InvalidArchive, match=r"not a model in one file|cut short"):
        palate.load_model(f"{server.url}/m.palate")
    assert left_in(cache) == []


def test_what_was_there_before_stays_usable(archives, files, server) -> None:
    """A server that has junk for a while does not cost the model that had come: it is only asked for again."""
    files.contents["/m.palate"] = archives["plain"]
    digest = digest_of(f"{server.url}/m.palate")
    files.contents["/m.palate"] = b"junk"
    with pytest.raises(InvalidArchive):
        palate.load_model(f"{server.url}/m.palate")
    assert palate.load_model(f"{server.url}/m.palate@sha256:{digest}").flavor == "sklearn"
    files.contents["/m.palate"] = archives["plain"]
    assert digest_of(f"{server.url}/m.palate") == digest
    assert files.sent == ["/m.palate", "/m.palate"]
