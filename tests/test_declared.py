"""What the caller of a save declares: lists, and requirements files that may name others."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from palate._environment.declared import IndexOptions, read_declaration
from palate.errors import InvalidOption, InvalidRequirement

HOST = "https://packages.example.com/simple"


def write(folder: Path, **files: str) -> Path:
    """Write requirements files by name, and return the first."""
    for name, text in files.items():
        (folder / f"{name}.txt").write_text(text)
    return folder / f"{next(iter(files))}.txt"


# -- plain lines -------------------------------------------------------------------------------------------------------


def test_file_is_read(tmp_path: Path) -> None:
    """A requirements file may have Windows line ends, a byte order mark and comments."""
    path = tmp_path / "requirements.txt"
    path.write_bytes(b"\xef\xbb\xbfnumpy==2.0\r\n# comment\r\npandas\r\n")
    assert list(map(str, read_declaration(path).requirements)) == ["numpy==2.0", "pandas"]
    assert read_declaration(str(path)) == read_declaration(path)


def test_list_is_read() -> None:
    """A list may hold what a file holds."""
    found = read_declaration(["ray[serve]==2.9 ; python_version > '3'", "-i " + HOST, "", "# why"])
    assert list(map(str, found.requirements)) == ['ray[serve]==2.9; python_version > "3"']
    assert found.index_options == IndexOptions(index_url=HOST)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"a\n" * 1_000_000])
def test_file_that_is_no_requirements_file(tmp_path: Path, content: bytes) -> None:
    """Binary and huge files are refused by name."""
    path = tmp_path / "requirements.txt"
    path.write_bytes(content)
    with pytest.raises(InvalidOption, match=r"requirements\.txt"):
        read_declaration(path)


def test_missing_file(tmp_path: Path) -> None:
    """A path that does not exist is an error that names it, not an empty environment."""
    with pytest.raises(InvalidOption, match=r"nowhere\.txt.*No such file"):
        read_declaration(tmp_path / "nowhere.txt")


def make_socket(path: Path) -> None:
    """Leave a socket at *path*; its own name is short enough for the system wherever it is."""
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)


def make_link(path: Path) -> None:
    """Leave a link to a FIFO at *path*."""
    os.mkfifo(path.with_name("fifo"))
    path.symlink_to("fifo")


@pytest.fixture
def soon() -> Iterator[None]:
    """End a test that waits for what never comes."""

    def stop(*_: object) -> None:
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "make", [os.mkfifo, make_socket, Path.mkdir, make_link, lambda path: path.symlink_to(os.devnull)]
)
@pytest.mark.parametrize("way", ["itself", "-r", "-c", "-c in a list"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None], way: str) -> None:
    """A FIFO into which nobody writes keeps no save waiting; neither that nor a socket, folder or device is read."""
    make(tmp_path / "strange")
    main = write(tmp_path, main=f"{way} strange")
    sources = {"itself": tmp_path / "strange", "-c in a list": [f"-c {tmp_path}/strange"]}
    with pytest.raises(InvalidOption, match="strange' cannot be read: it is no ordinary file"):
        read_declaration(sources.get(way, main))


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    """What the caller names himself may be a link, and paths in it count from where the link is."""
    (tmp_path / "elsewhere").mkdir()
    file = write(tmp_path / "elsewhere", base="numpy\n-c bounds.txt")
    (tmp_path / "bounds.txt").symlink_to(write(tmp_path / "elsewhere", upper="scipy<1.15"))
    (tmp_path / "link.txt").symlink_to(file)
    found = read_declaration(tmp_path / "link.txt")
    assert [str(line) for line in (*found.requirements, *found.constraints)] == ["numpy", "scipy<1.15"]


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    """Links that lead to each other, and a path that no system has, are errors of ours as well."""
    (tmp_path / "one.txt").symlink_to("other.txt")
    (tmp_path / "other.txt").symlink_to("one.txt")
    for path in (tmp_path / "one.txt", "no\0path"):
        with pytest.raises(InvalidOption, match="cannot be read"):
            read_declaration(path)


@pytest.mark.parametrize(("source", "kind"), [(1, "int"), ([1], "int"), ([None], "NoneType")])
def test_other_things_are_no_declaration(source: object, kind: str) -> None:
    """Neither a number nor a list of such is a declaration, and the error says what was given."""
    with pytest.raises(InvalidOption, match=kind):
        read_declaration(source)  # type: ignore[arg-type]


# -- files that name others --------------------------------------------------------------------------------------------


def test_nested_files_are_joined(tmp_path: Path) -> None:
    """Paths count from the folder of the file that they stand in, and constraints are kept apart."""
    (tmp_path / "parts").mkdir()
    write(tmp_path / "parts", base="numpy\n-c bounds.txt", bounds="scipy<1.15")
    path = write(tmp_path, main="-r parts/base.txt  # the rest\n--requirement=more.txt\npandas", more="polars")
    found = read_declaration(path)
    assert list(map(str, found.requirements)) == ["numpy", "polars", "pandas"]
    assert list(map(str, found.constraints)) == ["scipy<1.15"]


def test_a_list_names_no_further_requirements(tmp_path: Path) -> None:
    """R05: what is read is a file that the caller named as such; a list may come from anywhere."""
    path = write(tmp_path, base="numpy")
    with pytest.raises(InvalidRequirement, match="only a requirements file"):
        read_declaration([f"-r {path}"])


def test_a_list_may_name_constraints(tmp_path: Path) -> None:
    """R06: a caller's constraints are read, and only their lines are kept."""
    path = write(tmp_path, bounds="scipy<1.15")
    assert list(map(str, read_declaration([f"--constraint {path}"]).constraints)) == ["scipy<1.15"]


@pytest.mark.parametrize("line", ["foo @ https://example.com/foo-1.whl", "foo[x]<2", "-r main.txt", "-i " + HOST])
def test_constraints_are_bounds_only(tmp_path: Path, line: str) -> None:
    """R23: a constraint has no URL, no extra, and names nothing else."""
    with pytest.raises(InvalidRequirement):
        read_declaration(write(tmp_path, main="-c bounds.txt", bounds=line))


def test_files_that_name_each_other(tmp_path: Path) -> None:
    """Reading ends: a file cannot join itself, however indirectly."""
    with pytest.raises(InvalidRequirement, match="never end"):
        read_declaration(write(tmp_path, one="-r two.txt", two="-r one.txt"))


def test_files_without_end(tmp_path: Path) -> None:
    """A chain of files is followed only so far."""
    names = {f"f{number}": f"-r f{number + 1}.txt" for number in range(150)}
    with pytest.raises(InvalidRequirement, match="100 files"):
        read_declaration(write(tmp_path, **names))


def test_lines_of_all_files_are_counted(tmp_path: Path) -> None:
    """R24: splitting a hundred thousand lines over files does not get them in."""
    lines = "\n".join(f"foo{number}" for number in range(6000))
    with pytest.raises(InvalidRequirement, match="1000 lines"):
        read_declaration(write(tmp_path, main="-r one.txt\n-r two.txt", one=lines, two=lines.replace("foo", "bar")))


def test_files_that_contradict_each_other(tmp_path: Path) -> None:
    """Two files that pin one package differently are an error, not a guess."""
    with pytest.raises(InvalidRequirement, match="another line pins"):
        read_declaration(write(tmp_path, main="-r one.txt\na==1", one="A==2"))


@pytest.mark.parametrize("source", [3, {"numpy": "2.1.0"}])
def test_what_is_neither_a_list_nor_a_path_is_refused(source: object) -> None:
    """A dict would be a list of its names, and its versions would be lost."""
    with pytest.raises(InvalidOption, match=f"it is {type(source).__name__}"):
        read_declaration(source)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["https://example.com/r.txt", "file:///etc/passwd", "${HOME}/r.txt", "$HOME/r.txt"])
@pytest.mark.parametrize("option", ["-r", "-c"])
def test_only_files_are_named(tmp_path: Path, option: str, value: str) -> None:
    """R05, R06, R15: neither an address nor a variable stands for a file."""
    with pytest.raises(InvalidRequirement, match="only a file"):
        read_declaration(write(tmp_path, main=f"{option} {value}"))


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "-e git+https://example.com/x.git#egg=x",
        "--editable=.",
        "--trusted-host packages.example.com",
        "--no-binary :all:",
        "--no-index",
        "--pre",
        "--hash=sha256:0",
        "-rother.txt",
        "-cother.txt",
        "-index-url x",
        "-r",
        "-i",
        "--index-url",
        "numpy -c other.txt",
        "numpy \\",
        "./local.whl",
        "\u2028-i " + HOST,
        "-i " + HOST + "\u2028-e .",
        "-r other.txt\x0b-e .",
    ],
)
def test_other_options_are_refused(tmp_path: Path, line: str) -> None:
    """R04, R08 to R10, R14, R17 to R19: a caller's file, too, is read as lines, and not as a program for pip."""
    with pytest.raises(InvalidRequirement):
        read_declaration(write(tmp_path, main=line, other="numpy"))


# -- indexes -----------------------------------------------------------------------------------------------------------


def test_index_options_are_kept_apart() -> None:
    """R01 to R03, R07: indexes are told from requirements in every spelling."""
    found = read_declaration(
        [
            "numpy",
            f"--index-url {HOST}",
            f"--extra-index-url={HOST}/a",
            f"--extra-index-url {HOST}/b",
            f"-f {HOST}/links",
        ]
    )
    assert list(map(str, found.requirements)) == ["numpy"]
    assert found.index_options.to_dict() == {
        "index_url": HOST,
        "extra_index_urls": [f"{HOST}/a", f"{HOST}/b"],
        "find_links": [f"{HOST}/links"],
    }
    assert found.warnings == ()


@pytest.mark.parametrize(
    "address",
    [
        "https://user:hunter2@packages.example.com/simple",
        "https://hunter2@packages.example.com/simple",
        "https://${USER}:${hunter2}@packages.example.com/simple",
        "https://packages.example.com/simple?token=hunter2",
        "https://packages.example.com/simple#hunter2",
    ],
)
def test_credentials_are_taken_out(address: str) -> None:
    """What could be a password is not kept, and the caller is told once."""
    found = read_declaration([f"-i {address}", f"--extra-index-url {address}"])
    assert found.index_options == IndexOptions(index_url=HOST, extra_index_urls=(HOST,))
    [warning] = found.warnings
    assert "without the credentials" in warning
    assert "hunter2" not in warning


@pytest.mark.parametrize(
    "address",
    ["file:///srv/simple", "/srv/simple", "ftp://example.com", "https://", "https://e.com:x/", "https://${HOST}/"],
)
def test_index_is_an_address(address: str) -> None:
    """R15: an index is named by an address that others can use, with no variable in it."""
    with pytest.raises(InvalidRequirement):
        read_declaration([f"--index-url {address}"])


def test_password_is_not_shown() -> None:
    """A refused address is shown without the password in it."""
    with pytest.raises(InvalidRequirement) as caught:
        read_declaration(["-i ftp://user:hunter2@example.com"])
    assert "hunter2" not in str(caught.value)


def test_two_indexes() -> None:
    """pip would take the later one, and nobody would notice."""
    with pytest.raises(InvalidRequirement, match="another line says"):
        read_declaration(["-i https://a.example/simple"], ["-i https://b.example/simple"])


def test_folder_of_wheels_is_not_recorded(tmp_path: Path) -> None:
    """R07: a folder of this machine is nowhere else, so the caller is told another way."""
    found = read_declaration([f"--find-links {tmp_path}", "-f file:///srv/wheels"])
    assert found.index_options == IndexOptions()
    [warning] = found.warnings
    assert "--find-links" in warning
    assert str(tmp_path) not in warning
