"""Files by their address: whole or not at all, unchanged where nothing is new, and no secret told."""

from __future__ import annotations

import base64
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from relay import Answer, Asked, broken_off, site

from palate.errors import InvalidOption, RemoteFailed
from palate.remote import Bucket, Fetched, fetch

CONTENT = os.urandom(3 << 20)


def serve(request: Asked, content: bytes = CONTENT, *, tag: str = '"one"') -> Answer:
    """Answer as servers of files do: with ranges and conditions."""
    if request.headers.get("if-none-match") == tag:
        return Answer(status=304, headers={"ETag": tag})
    span = request.headers.get("range")
    if span is None:
        return Answer(body=content, headers={"ETag": tag})
    first, last = (int(number) for number in span.removeprefix("bytes=").split("-"))
    place = f"bytes {first}-{last}/{len(content)}"
    return Answer(status=206, body=content[first : last + 1], headers={"ETag": tag, "Content-Range": place})


def names(folder: Path) -> list[str]:
    """Return what is in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


# -- what comes --------------------------------------------------------------------------------------------------------


def test_fetches_a_file(tmp_path: Path) -> None:
    """A file comes whole, with its tag and size, and nothing else is left beside it."""
    told: list[tuple[int, int]] = []
    with site(serve) as server:
        found = fetch(f"{server.url}/a%20b/model?x=1&y=%2F", tmp_path / "t", progress=lambda *now: told.append(now))
        assert found == Fetched(tag='"one"', size=len(CONTENT))
        assert [one.path for one in server.asked] == ["/a%20b/model?x=1&y=%2F"]
    assert (tmp_path / "t").read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert names(tmp_path) == ["t"]


def test_fetched_file_takes_the_place_of_another(tmp_path: Path) -> None:
    """What is at the target is replaced."""
    (tmp_path / "t").write_text("old")
    with site(serve) as server:
        fetch(f"{server.url}/model", tmp_path / "t")
    assert (tmp_path / "t").read_bytes() == CONTENT


def test_file_that_is_known(tmp_path: Path) -> None:
    """What has the known tag still does not come again; another tag does."""
    with site(serve) as server:
        assert fetch(f"{server.url}/model", tmp_path / "t", known_tag='"one"') is None
        assert names(tmp_path) == []
        assert fetch(f"{server.url}/model", tmp_path / "t", known_tag='"two"') is not None


def test_file_that_is_known_to_a_server_without_conditions(tmp_path: Path) -> None:
    """A server that sends the whole file again with the tag that is known is not listened to."""
    with site(lambda request: Answer(body=CONTENT, headers={"ETag": '"one"'})) as server:
        assert fetch(f"{server.url}/model", tmp_path / "t", known_tag='"one"') is None
    assert names(tmp_path) == []


def test_file_without_a_tag(tmp_path: Path) -> None:
    """A server that gives no tag is no less a server."""
    with site(lambda request: Answer(body=b"model")) as server:
        assert fetch(f"{server.url}/model", tmp_path / "t", known_tag='"one"') == Fetched(tag="", size=5)


def test_fetches_from_a_bucket(bucket: Bucket, tmp_path: Path) -> None:
    """A file of a bucket comes the same way, and is known by its tag."""
    bucket.create("files/model.palate", b"model")
    found = fetch(f"{bucket.uri}/files/model.palate", tmp_path / "t")
    assert found is not None
    assert (tmp_path / "t").read_bytes() == b"model"
    assert fetch(f"{bucket.uri}/files/model.palate", tmp_path / "t", known_tag=found.tag) is None


def test_encrypted_server(tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate that nobody vouches for is refused; with SSL_CERT_FILE it is one's own to vouch for."""
    with site(serve, certificate=certificate) as server:
        with pytest.raises(RemoteFailed, match=r"certificate is not trusted. Hint: .*SSL_CERT_FILE"):
            fetch(f"{server.url}/model", tmp_path / "t", patience=2)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert fetch(f"{server.url}/model", tmp_path / "t") is not None


# -- where it leads ----------------------------------------------------------------------------------------------------


def leading_to(address: str) -> Callable[[Asked], Answer]:
    """Return what sends everybody elsewhere."""
    return lambda request: Answer(status=302, headers={"Location": address})


def test_redirect_is_followed(tmp_path: Path) -> None:
    """A file that is kept elsewhere is fetched from there."""
    with site(serve) as there, site(leading_to(f"{there.url}/model?signature=1")) as here:
        assert fetch(f"{here.url}/latest", tmp_path / "t") is not None
        assert [one.path for one in there.asked] == ["/model?signature=1"]


def test_redirect_to_what_is_not_encrypted(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From https: nobody is led to http:, not even on this machine."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with site(serve) as there, site(leading_to(f"{there.url}/model"), certificate=certificate) as here:
        with pytest.raises(RemoteFailed, match="leads to an address that is not encrypted"):
            fetch(f"{here.url}/latest", tmp_path / "t", patience=2)
        assert there.asked == []


def test_redirect_in_a_circle(tmp_path: Path) -> None:
    """Who is led in a circle is told so."""
    with site(leading_to("/again")) as server, pytest.raises(RemoteFailed, match="leads in a circle"):
        fetch(f"{server.url}/again", tmp_path / "t", patience=2)


def test_password_is_for_its_host_only(tmp_path: Path) -> None:
    """A user and a password are sent to the host that they were given for, and to none that it leads to."""
    with site(serve) as there, site(leading_to(f"{there.url}/model")) as here:
        fetch(here.url.replace("http://", "http://me:p%40ss@") + "/latest", tmp_path / "t")
        sent = here.asked[0].headers["authorization"].removeprefix("Basic ")
        assert base64.b64decode(sent) == b"me:p@ss"
        assert "authorization" not in there.asked[0].headers


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("http://models.invalid/x", "http: may have been changed on its way"),
        ("ftp://models.invalid/x", "by https: and s3: addresses only"),
        ("file:///etc/passwd", "by https: and s3: addresses only"),
        ("https:///x", "by https: and s3: addresses only"),
        ("model.palate", "by https: and s3: addresses only"),
        ("https://host:port/x", "it is not an address"),
        ("https://[/x", "it is not an address"),
        ("s3://bucket", "it names a bucket, and no file in it"),
        ("s3://me:secret@bucket/x", "it is not the address of a bucket"),
    ],
)
def test_addresses_that_are_refused(tmp_path: Path, uri: str, reason: str) -> None:
    """What is not fetched is refused before anybody is asked, with what to give instead."""
    with pytest.raises(InvalidOption, match=reason) as caught:
        fetch(uri, tmp_path / "t")
    assert "Hint: " in str(caught.value)
    assert "secret" not in str(caught.value)
    assert names(tmp_path) == []


@pytest.mark.parametrize("uri", ["https://%zz/x", "https://ho st/x", "https://me:secret@ho st/x?y=secret"])
def test_host_that_is_none(tmp_path: Path, uri: str) -> None:
    """What only the library finds to be no address is one error too, without what may be secret in it."""
    with pytest.raises(RemoteFailed, match="it is not an address") as caught:
        fetch(uri, tmp_path / "t", patience=1)
    assert "secret" not in str(caught.value)


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_too_large(tmp_path: Path) -> None:
    """What is larger than allowed is refused by its announced size; what just fits comes."""
    with site(serve) as server:
        with pytest.raises(RemoteFailed, match=r"3,145,728 bytes, and at most 3,145,727 are allowed"):
            fetch(f"{server.url}/model", tmp_path / "t", max_size=len(CONTENT) - 1)
        assert names(tmp_path) == []
        fetch(f"{server.url}/model", tmp_path / "t", max_size=len(CONTENT))


def test_size_that_is_not_told(tmp_path: Path) -> None:
    """A file without a length is refused: half of it would look like the whole."""
    chunked = Answer(body=b"5\r\nmodel\r\n0\r\n\r\n", headers={"Transfer-Encoding": "chunked"})
    with site(lambda request: chunked) as server, pytest.raises(RemoteFailed, match="does not say how long"):
        fetch(f"{server.url}/model", tmp_path / "t")
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416, 500, 503])
def test_refusals(tmp_path: Path, status: int) -> None:
    """A refusal becomes one error with what the server said, and what was at the target stays."""
    (tmp_path / "t").write_text("old")
    with site(lambda request: Answer(status=status)) as server, pytest.raises(RemoteFailed) as caught:
        fetch(f"{server.url}/model", tmp_path / "t", patience=2)
    assert ("nothing is there" if status == 404 else str(status)) in str(caught.value)
    assert "Hint: " in str(caught.value)
    assert (tmp_path / "t").read_text() == "old"
    assert names(tmp_path) == ["t"]


@pytest.mark.parametrize("times", [1, 100])
def test_download_that_breaks_off(tmp_path: Path, times: int) -> None:
    """A broken download goes on where it was; one that breaks again and again leaves what was there before."""
    (tmp_path / "t").write_text("old")
    broken = iter(range(times))
    with site(lambda one: serve(one) if next(broken, None) is None else broken_off(serve(one))) as server:
        if times == 1:
            fetch(f"{server.url}/model", tmp_path / "t")
            assert "range" in server.asked[1].headers
            assert (tmp_path / "t").read_bytes() == CONTENT
        else:
            with pytest.raises(RemoteFailed, match=r"Could not fetch .*broke"):
                fetch(f"{server.url}/model", tmp_path / "t")
            assert (tmp_path / "t").read_text() == "old"
    assert names(tmp_path) == ["t"]


def test_file_is_never_made_of_two(tmp_path: Path) -> None:
    """If a download breaks off and the file is another one when it goes on, it fails."""
    other = os.urandom(len(CONTENT))

    def changing(request: Asked) -> Answer:
        return serve(request, other, tag='"two"') if "range" in request.headers else broken_off(serve(request))

    with site(changing) as server, pytest.raises(RemoteFailed, match="broke"):
        fetch(f"{server.url}/model", tmp_path / "t", patience=2)
    assert names(tmp_path) == []


def test_nothing_is_left_when_the_caller_stops(tmp_path: Path) -> None:
    """An exception out of progress, as an interrupt would be, removes what had come."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with site(serve) as server, pytest.raises(KeyboardInterrupt):
        fetch(f"{server.url}/model", tmp_path / "t", progress=stop)
    assert names(tmp_path) == []


def test_disk_that_refuses(tmp_path: Path) -> None:
    """A folder that is not there is the disk's error, not the server's."""
    with site(serve) as server, pytest.raises(FileNotFoundError) as caught:
        fetch(f"{server.url}/model", tmp_path / "missing" / "t")
    assert not isinstance(caught.value, RemoteFailed)


@pytest.mark.parametrize("status", [403, 404, 500, None])
def test_secrets_are_not_told(tmp_path: Path, status: int | None) -> None:
    """Neither a password nor a signature is in an error, in its facts or in its traceback."""
    with site(lambda request: Answer(status=status)) as server:
        secret = server.url.replace("http://", "http://me:hush-1@") + "/model?X-Amz-Signature=hush-2"
        with pytest.raises(RemoteFailed) as caught:
            fetch(secret, tmp_path / "t", patience=2)
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + repr(vars(caught.value))
    assert "hush-1" not in told
    assert "hush-2" not in told
    assert f"'{server.url}/model?…'" in str(caught.value)
