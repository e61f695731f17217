"""Buckets: documents that only one writer makes, files whole or not at all, and what faults do to them."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from object_servers import moto_server, objects_python
from relay import Answer, Asked, Hang, broken_off, relay, site

from palate.errors import DependencyMissing, InvalidOption, RemoteFailed
from palate.remote import Bucket, Document

Ask = Callable[[Asked], Answer]
Open = Callable[..., Bucket]
Run = Callable[..., CompletedProcess[str]]

MANY = 1_100  # a page of a listing has 1,000


def unique() -> bytes:
    """Return a document like no other."""
    return uuid.uuid4().hex.encode()


# -- documents ---------------------------------------------------------------------------------------------------------


def test_reads_what_was_created(bucket: Bucket) -> None:
    """A created document reads back, under the tag that `stat` tells too; nothing is None."""
    assert bucket.read("a/b.json") is None
    assert bucket.stat("a/b.json") is None
    assert bucket.create("a/b.json", b"one")
    found = bucket.read("a/b.json")
    assert isinstance(found, Document)
    assert found.content == b"one"
    assert bucket.stat("a/b.json") == (3, found.tag)


def test_first_to_create_has_the_name(bucket: Bucket) -> None:
    """A second create is refused, and what the first one wrote stays."""
    assert bucket.create("x", b"first")
    assert not bucket.create("x", b"second")
    assert bucket.read("x").content == b"first"  # type: ignore[union-attr]


def test_large_document_is_created_on_the_condition_too(bucket: Bucket) -> None:
    """More than a part of an upload goes as one write, or there would be no condition."""
    large = os.urandom(9 << 20)
    assert bucket.create("x", large)
    assert not bucket.create("x", b"second")
    assert bucket.read("x").content == large  # type: ignore[union-attr]


def test_replaces_what_was_read(bucket: Bucket) -> None:
    """A document is replaced by its tag once; the same tag is no good again, nor for what is not there."""
    bucket.create("x", b"one")
    tag = bucket.read("x").tag  # type: ignore[union-attr]
    assert bucket.replace("x", b"two", tag)
    assert not bucket.replace("x", b"three", tag)
    assert not bucket.replace("y", b"three", tag)
    assert bucket.read("x").content == b"two"  # type: ignore[union-attr]
    assert bucket.read("y") is None


def test_removes_twice(bucket: Bucket) -> None:
    """What is removed is gone, and to remove it again does nothing."""
    bucket.create("x", b"one")
    bucket.remove("x")
    bucket.remove("x")
    assert bucket.read("x") is None
    assert bucket.create("x", b"again")


@pytest.mark.parametrize("key", ["a b", "ä%41+", "q?x=1#f", "a/.b", "x" * 200])
def test_keys_are_taken_literally(bucket: Bucket, key: str) -> None:
    """Whatever a key holds, it is listed and read by the same name."""
    assert bucket.create(key, b"1")
    assert [entry.key for entry in bucket.entries()] == [key]
    assert bucket.read(key) is not None


@pytest.mark.parametrize("key", ["../x", "a//b", "a/./b", "a\nb"])
def test_key_that_is_no_path_is_refused(open_bucket: Open, moto: str, key: str) -> None:
    """A key that could mean two things is refused before anybody is asked."""
    with pytest.raises(RemoteFailed, match="a name"):
        open_bucket(moto).create(key, b"1")


# -- listings ----------------------------------------------------------------------------------------------------------


def test_lists_all_pages(bucket: Bucket) -> None:
    """The folders and documents of more than one page are all listed, by name, and only those directly inside."""
    keys = [f"top/folder{number:04}/deep/x" for number in range(MANY)] + ["top/one", "top/two", "topmost/x", "z"]
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda key: bucket.create(key, key.encode()), keys))
    folders, documents = bucket.names("top")
    assert folders == [f"folder{number:04}" for number in range(MANY)]
    assert documents == ["one", "two"]
    assert bucket.names() == (["top", "topmost"], ["z"])
    assert bucket.names("nothing") == ([], [])
    assert sorted(entry.key for entry in bucket.entries("top")) == sorted(keys[:-2])
    assert sorted(entry.key for entry in bucket.entries()) == sorted(keys)


def test_entries_tell_size_and_time(bucket: Bucket) -> None:
    """An entry has its size, and when it was written, with a time zone."""
    bucket.create("a/x", b"12345")
    (entry,) = bucket.entries("a")
    assert (entry.key, entry.size) == ("a/x", 5)
    assert abs(entry.modified - datetime.now(UTC)) < timedelta(minutes=5)


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 20 << 20])
def test_file_comes_back(bucket: Bucket, tmp_path: Path, size: int) -> None:
    """A file goes there and comes back byte by byte, in one part or several, and progress ends at its size."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    bucket.upload("files/x", source)
    told: list[tuple[int, int]] = []
    bucket.download("files/x", target, progress=lambda done, total: told.append((done, total)))
    assert target.read_bytes() == source.read_bytes()
    assert told[-1:] == ([(size, size)] if size else [])
    assert told == sorted(told)


def test_download_to_an_open_file(bucket: Bucket, tmp_path: Path) -> None:
    """An open file gets the bytes where it stands."""
    bucket.create("x", b"content")
    with (tmp_path / "t").open("wb") as file:
        file.write(b"before ")
        bucket.download("x", file)
    assert (tmp_path / "t").read_bytes() == b"before content"


def test_download_takes_no_file_s_place(bucket: Bucket, tmp_path: Path) -> None:
    """A path that is taken is refused, and what is there stays."""
    bucket.create("x", b"content")
    (tmp_path / "t").write_text("mine")
    with pytest.raises(FileExistsError):
        bucket.download("x", tmp_path / "t")
    assert (tmp_path / "t").read_text() == "mine"


def test_download_of_nothing(bucket: Bucket, tmp_path: Path) -> None:
    """What is not there cannot be downloaded, and leaves no file."""
    with pytest.raises(RemoteFailed, match="nothing is there"):
        bucket.download("x", tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("way", ["upload", "download"])
def test_memory_does_not_grow_with_the_file(
    seaweedfs: str, open_bucket: Open, folder: str, tmp_path: Path, run_python: Run, way: str
) -> None:
    """A file of 300 MB passes through less than 100 MB of memory."""
    bucket = open_bucket(seaweedfs)
    source = tmp_path / "source"
    with source.open("wb") as file:
        for _ in range(300):
            file.write(os.urandom(1 << 20))
    if way == "download":
        bucket.upload("x", source)
    script = """if True:
        import resource, sys; from pathlib import Path; from palate.remote import Bucket
        peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        bucket = Bucket(sys.argv[1]); bucket.stat("x"); before = peak()
        getattr(bucket, sys.argv[2])("x", Path(sys.argv[3])); print(peak() - before)"""
    done = run_python(script, folder, way, source if way == "upload" else tmp_path / "target")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 100
    assert bucket.stat("x")[0] == source.stat().st_size  # type: ignore[index]
    bucket.remove("x")


# -- many writers ------------------------------------------------------------------------------------------------------

WRITERS, ROUNDS = 8, 6


def race(uri: str, way: str, barrier: Any, results: Any) -> None:
    """Try to be the one, again and again, at the same moments as the others."""
    bucket = Bucket(uri)
    won = []
    for number in range(ROUNDS):
        tag = bucket.read(f"replaced/{number}").tag  # type: ignore[union-attr]
        barrier.wait(60)
        if way == "create":
            won.append(bucket.create(f"created/{number}", unique()))
        else:
            won.append(bucket.replace(f"replaced/{number}", unique(), tag))
    results.put(won)


@pytest.mark.parametrize("way", ["create", "replace"])
def test_one_of_many_writers_wins(bucket: Bucket, way: str) -> None:
    """Of eight processes that create, or replace, one document at the same moment, exactly one is told that it did."""
    for number in range(ROUNDS):
        bucket.create(f"replaced/{number}", unique())
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(WRITERS), spawn.Queue()
    processes = [spawn.Process(target=race, args=(bucket.uri, way, barrier, results)) for _ in range(WRITERS)]
    for process in processes:
        process.start()
    won = [results.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(30)
    assert [sum(one) for one in zip(*won, strict=True)] == [1] * ROUNDS


# -- servers that fail -------------------------------------------------------------------------------------------------


def only_first(fault: Callable[[Asked, Ask], Answer], method: str) -> Callable[[Asked, Ask], Answer]:
    """Return what is at fault once, at the first request of a method."""
    seen: list[Asked] = []

    def change(request: Asked, ask: Ask) -> Answer:
        if request.method == method:
            seen.append(request)
        return fault(request, ask) if request.method == method and len(seen) == 1 else ask(request)

    return change


def lose_answer(request: Asked, ask: Ask) -> Answer:
    """Let the server do it, and tell nobody."""
    ask(request)
    return Answer(status=None)


def test_create_whose_answer_was_lost(moto: str, open_bucket: Open) -> None:
    """A create that is sent again finds its own object, and is told to have made it."""
    with site(relay(moto, only_first(lose_answer, "PUT"))) as between:
        bucket, content = open_bucket(between.url), unique()
        try:
            created = bucket.create("x", content)
        except RemoteFailed:
            pytest.fail("it was not sent again")
        assert created
        assert between.methods() == ["PUT", "PUT", "GET"]
        assert not bucket.create("x", unique())


def test_replace_whose_answer_was_lost(moto: str, open_bucket: Open) -> None:
    """The same for a replacement."""
    open_bucket(moto).create("x", unique())
    with site(relay(moto, only_first(lose_answer, "PUT"))) as between:
        bucket, content = open_bucket(between.url), unique()
        assert bucket.replace("x", content, bucket.read("x").tag)  # type: ignore[union-attr]
        assert between.methods() == ["GET", "PUT", "PUT", "GET"]
        assert bucket.read("x").content == content  # type: ignore[union-attr]


CONFLICT = Answer(status=409, body=b"<Error><Code>ConditionalRequestConflict</Code></Error>")


def test_conflict_without_a_winner_is_tried_again(moto: str, open_bucket: Open) -> None:
    """S3 may refuse a create because of another one that then fails, too: nobody has the name, so it is tried again."""
    with site(relay(moto, only_first(lambda request, ask: CONFLICT, "PUT"))) as between:
        bucket = open_bucket(between.url)
        assert bucket.create("x", b"1")
        assert bucket.read("x").content == b"1"  # type: ignore[union-attr]


def test_conflict_for_ever_is_an_error(moto: str, open_bucket: Open) -> None:
    """A server that never decides is not asked for ever, and nobody is told to have won or lost."""

    def never(request: Asked, ask: Ask) -> Answer:
        return CONFLICT if request.method == "PUT" else ask(request)

    with site(relay(moto, never)) as between, pytest.raises(RemoteFailed, match="again and again"):
        open_bucket(between.url).create("x", b"1")


def test_conditions_are_kept(bucket: Bucket) -> None:
    """Both servers keep to conditions, and the probe leaves nothing behind."""
    bucket.check_conditions()
    assert list(bucket.entries()) == []


@pytest.mark.parametrize("condition", ["if-none-match", "if-match"])
def test_server_that_forgets_conditions_is_found_out(moto: str, open_bucket: Open, condition: str) -> None:
    """A server that passes over one of the conditions is no place for a store."""

    def forget(request: Asked, ask: Ask) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name != condition}
        return ask(Asked(method=request.method, path=request.path, headers=headers, body=request.body))

    with site(relay(moto, forget)) as between:
        bucket = open_bucket(between.url)
        with pytest.raises(RemoteFailed, match=r"Could not keep a store at .*If-None-Match.*Hint: use a server"):
            bucket.check_conditions()
        assert list(bucket.entries()) == []


def test_upload_that_fails_leaves_nothing(moto: str, open_bucket: Open, tmp_path: Path) -> None:
    """When a part is refused, what was there stays, and the parts that had gone are given up."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(20 << 20))
    open_bucket(moto).create("x", b"before")

    def refuse(request: Asked, ask: Ask) -> Answer:
        return Answer(status=500) if "partNumber=2" in request.path else ask(request)

    with site(relay(moto, refuse)) as between:
        bucket = open_bucket(between.url, patience=2)
        with pytest.raises(RemoteFailed, match=r"Could not upload to .*500"):
            bucket.upload("x", source)
        assert bucket.read("x").content == b"before"  # type: ignore[union-attr]
        assert [one.method for one in between.asked if "uploadId" in one.path][-1] == "DELETE"


@pytest.mark.parametrize("times", [1, 100])
def test_download_that_breaks_off(moto: str, open_bucket: Open, tmp_path: Path, times: int) -> None:
    """A broken download goes on where it was; one that breaks again and again is an error, and leaves no file."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(4 << 20))
    open_bucket(moto).upload("x", source)
    broken = iter(range(times))

    def breaking(request: Asked, ask: Ask) -> Answer:
        answer = ask(request)
        return broken_off(answer) if request.method == "GET" and next(broken, None) is not None else answer

    with site(relay(moto, breaking)) as between:
        bucket = open_bucket(between.url)
        if times == 1:
            bucket.download("x", target)
            assert target.read_bytes() == source.read_bytes()
        else:
            with pytest.raises(RemoteFailed, match=r"Could not download .*broke"):
                bucket.download("x", target)
            assert not target.exists()


def test_download_is_never_of_two_files(moto: str, open_bucket: Open, tmp_path: Path) -> None:
    """If a download breaks off and the object is another one when it goes on, it fails."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(4 << 20))
    open_bucket(moto).upload("x", source)
    direct = open_bucket(moto)

    def swap(request: Asked, ask: Ask) -> Answer:
        answer = ask(request)
        source.write_bytes(os.urandom(4 << 20))
        direct.upload("x", source)
        return broken_off(answer)

    with site(relay(moto, only_first(swap, "GET"))) as between:
        bucket = open_bucket(between.url)
        with pytest.raises(RemoteFailed):
            bucket.download("x", tmp_path / "target")
        assert not (tmp_path / "target").exists()


def test_server_killed_during_a_download(open_bucket: Open, tmp_path: Path) -> None:
    """A server that is killed costs an error within the time that it is waited for, and no file stays."""
    source = tmp_path / "source"
    source.write_bytes(os.urandom(40 << 20))
    with moto_server() as (endpoint, process):
        bucket = open_bucket(endpoint, patience=3)
        bucket.upload("x", source)
        begin = time.monotonic()
        with pytest.raises(RemoteFailed, match="Could not download"):
            bucket.download("x", tmp_path / "target", progress=lambda done, total: process.kill())
    assert time.monotonic() - begin < 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize("action", ["read", "remove", "stat", "names", "create"])
def test_dead_endpoint_fails_soon(open_bucket: Open, action: str) -> None:
    """Where nobody listens, every method says so in seconds, and says what to check."""
    bucket = open_bucket("http://127.0.0.1:9", patience=2)
    begin = time.monotonic()
    with pytest.raises(RemoteFailed, match=r"nobody listens there. Hint: .*AWS_ENDPOINT_URL"):
        getattr(bucket, action)(*(["x", b"1"] if action == "create" else ["x"]))
    assert time.monotonic() - begin < 8


@pytest.mark.parametrize("action", ["read", "create"])
def test_silent_server_is_waited_for_as_long_as_was_said(open_bucket: Open, action: str) -> None:
    """A server that takes a request and says nothing costs at most twice the time that was given."""

    def say_nothing(request: Asked) -> Answer:
        raise Hang

    with site(say_nothing) as silent:
        bucket = open_bucket(silent.url, patience=1)
        begin = time.monotonic()
        with pytest.raises(RemoteFailed, match="no answer for 1 s"):
            getattr(bucket, action)(*(["x", b"1"] if action == "create" else ["x"]))
        assert time.monotonic() - begin < 4


def test_broken_server(open_bucket: Open) -> None:
    """A server that answers 500 is asked a few times, and then its status is told."""
    with site(lambda request: Answer(status=500)) as broken:
        with pytest.raises(RemoteFailed, match=r"the server answered 500 Internal Server Error. Hint: try again later"):
            open_bucket(broken.url, patience=2).read("x")
        assert 2 <= len(broken.asked) <= 4


# -- whom it is let in as ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", "SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "InvalidAccessKeyId"),
        ("AWS_SKIP_SIGNATURE", "true", "AccessDenied"),
    ],
)
def test_wrong_credentials(
    seaweedfs: str, open_bucket: Open, monkeypatch: pytest.MonkeyPatch, name: str, value: str, code: str
) -> None:
    """A refusal tells the server's own reason, and which variables to check."""
    open_bucket(seaweedfs).create("x", b"1")
    monkeypatch.setenv(name, value)
    with pytest.raises(RemoteFailed, match=rf"the server refused \(403 {code}\). Hint: check AWS_ACCESS_KEY_ID"):
        open_bucket(seaweedfs).read("x")


def test_no_credentials(moto: str, open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are no credentials, the machine's own are looked for, and then the variables are named."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(RemoteFailed, match=r"no credentials were found. Hint: set AWS_ACCESS_KEY_ID"):
        open_bucket(moto, patience=2).read("x")


def test_profile_needs_boto3(moto: str, open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile is read by boto3, and where that is missing it is not passed over."""
    monkeypatch.setenv("AWS_PROFILE", "work")
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    monkeypatch.delitem(__import__("sys").modules, "obstore.auth.boto3", raising=False)
    with pytest.raises(DependencyMissing, match=r"AWS_PROFILE.* needs boto3"):
        open_bucket(moto)


PROFILES = "[work]\naws_access_key_id = palate\naws_secret_access_key = palate-secret\n[empty]\n"


@pytest.mark.parametrize("profile", ["work", "empty", "unknown"])
def test_profile_is_read_by_boto3(
    seaweedfs: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_python: Run, profile: str
) -> None:
    """Where boto3 is installed, a profile's credentials open the bucket, and one without any is an error."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    (tmp_path / "credentials").write_text(PROFILES)
    (packages,) = objects_python().parents[1].glob("lib/python*/site-packages")
    script = """if True:
        import sys; sys.path.append(sys.argv[1])
        from palate.remote import Bucket; print(Bucket(sys.argv[2]).create("x", b"1"))"""
    environment = {
        "AWS_PROFILE": profile,
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": seaweedfs,
    }
    done = run_python(script, packages, folder, env=environment)
    if profile == "work":
        assert done.stdout.strip() == "True", done.stderr
    else:
        assert "RemoteFailed: Could not find credentials for" in done.stderr
        assert "aws configure list-profiles" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("AWS_ENDPOINT_URL", "host:9000", "AWS_ENDPOINT_URL is not the address of a server"),
        ("AWS_ENDPOINT_URL_S3", "http://[", "AWS_ENDPOINT_URL_S3 is not the address of a server"),
        ("AWS_ENDPOINT", "https://ho st", "AWS_ENDPOINT is not the address of a server"),
        ("AWS_SECRET_ACCESS_KEY", "hush\n", "AWS_SECRET_ACCESS_KEY holds a character that is in no key"),
        ("AWS_ACCESS_KEY_ID", "hüsh", "AWS_ACCESS_KEY_ID holds a character that is in no key"),
        ("AWS_CHECKSUM_ALGORITHM", "none", "none"),
    ],
)
def test_variables_that_cannot_be(
    folder: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str, value: str, reason: str
) -> None:
    """A variable that the library would fail over is refused by its name, without its value where that is secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(RemoteFailed, match=reason) as caught:
        Bucket(folder)
    assert "hush" not in str(caught.value)
    assert "panicked" not in capfd.readouterr().err


def test_conditions_cannot_be_turned_off(moto: str, open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that tells the library to do without conditions is not listened to."""
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")
    open_bucket(moto).check_conditions()


@pytest.mark.parametrize("action", ["read", "create", "remove", "names"])
def test_bucket_that_is_not_there(moto: str, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    """A bucket that does not exist is told apart from an object that does not."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    with pytest.raises(RemoteFailed, match=r"there is no bucket of that name. Hint: create the bucket"):
        getattr(Bucket("s3://no-such-bucket/x"), action)(*(["x", b"1"] if action == "create" else ["x"]))


def test_unencrypted_endpoint_elsewhere(open_bucket: Open) -> None:
    """An endpoint without TLS on another machine is refused, unless AWS_ALLOW_HTTP says otherwise."""
    bucket = open_bucket("http://objects.invalid")
    with pytest.raises(RemoteFailed, match=r"http: address. Hint: use https:, or set AWS_ALLOW_HTTP=true"):
        bucket.read("x")


def test_unencrypted_endpoint_that_is_allowed(open_bucket: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """With AWS_ALLOW_HTTP it is asked."""
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    with pytest.raises(RemoteFailed, match="there is no machine of that name"):
        open_bucket("http://objects.invalid", patience=2).read("x")


def test_server_with_an_own_certificate(
    moto: str, open_bucket: Open, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server's own certificate is trusted when SSL_CERT_FILE names it, and not before."""
    with site(relay(moto, lambda request, ask: ask(request)), certificate=certificate) as encrypted:
        with pytest.raises(RemoteFailed, match=r"certificate is not trusted. Hint: .*SSL_CERT_FILE"):
            open_bucket(encrypted.url, patience=2).read("x")
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
        assert open_bucket(encrypted.url).create("x", b"1")


# -- addresses and processes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "uri",
    [
        "s3:",
        "s3://",
        "s3:///x",
        "bucket/x",
        "https://bucket/x",
        "s3://key:secret@bucket/x",
        "s3://b/x?region=q",
        "s3://[/",
        "s3://b",
        "s3://bu cket/x",
        "s3://bücket/x",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/a\nb",
    ],
)
def test_address_that_is_no_bucket(uri: str) -> None:
    """What is no address of a bucket is refused, and what may be secret in it is not repeated."""
    with pytest.raises(InvalidOption, match="uri: it is not the address of a bucket") as caught:
        Bucket(uri)
    assert "secret" not in str(caught.value)


def test_forked_process_is_told(moto: str, open_bucket: Open, folder: str, run_python: Run) -> None:
    """In a process that was forked from one that has used a bucket, a call is refused, where it would wait for ever."""
    open_bucket(moto)
    script = """if True:
        import os, sys; from palate.errors import RemoteFailed; from palate.remote import Bucket
        bucket = Bucket(sys.argv[1]); bucket.read("x")
        if os.fork() == 0:
            for action in (lambda: bucket.read("x"), lambda: Bucket(sys.argv[1])):
                try: action()
                except RemoteFailed as exc: print(exc, flush=True)
            os._exit(0)
        os.wait()"""
    done = run_python(script, folder, timeout=60)
    assert done.stdout.count("forked from one that has reached other machines") == 2, done.stderr


def test_library_is_an_extra(run_python: Run) -> None:
    """Where obstore is missing, the error names what to install."""
    script = """if True:
        import sys; sys.modules["obstore"] = None
        from palate.remote import Bucket; Bucket("s3://bucket/x")"""
    done = run_python(script)
    assert done.returncode == 1
    assert "DependencyMissing: Reaching s3: addresses needs obstore. Hint: pip install 'palate[remote]'." in done.stderr


def test_import_brings_no_library(run_python: Run) -> None:
    """The package is imported without the library, which is loaded when somebody is asked."""
    done = run_python("import sys, palate.remote; print([n for n in ('obstore', 'boto3') if n in sys.modules])")
    assert done.stdout.strip() == "[]"
