"""Which directory a URI means, and which files a model may name."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._disk.paths import confine, list_files, name_problem, read_small
from palate.errors import InvalidModelFile, ModelChanged, UnsafePath


@pytest.fixture
def model(tmp_path) -> Path:
    """Return a model directory beside a file that is none of its business."""
    (tmp_path / "secret").write_text("secret")
    root = tmp_path / "model"
    (root / "data" / "inner").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors: {}\n")
    (root / "model.pkl").write_bytes(b"pickle")
    (root / "data" / "inner" / "x.bin").write_bytes(b"x")
    return root


# -- confine -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relative", ["model.pkl", "data", "data/", "./model.pkl", "data/inner/x.bin", "data//inner"])
def test_ordinary_files_and_directories_are_found(model, relative) -> None:
    """A relative path to a file or directory inside the model is returned as a path under its root."""
    assert confine(model, relative, field="data") == model / relative


@pytest.mark.parametrize(
    ("relative", "reason"),
    [
        ("../secret", "has '..'"),
        ("data/../../secret", "has '..'"),
        ("..", "has '..'"),
        ("/etc/passwd", "is an absolute path"),
        ("//etc/passwd", "is an absolute path"),
        ("data\\x", "has a backslash"),
        ("C:/windows", "starts with a drive letter"),
        ("c:x", "starts with a drive letter"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("model\u202elkp.pt", "control characters"),
        ("a\u2028b", "control characters"),
        ("\ud800", "control characters"),
        ("x" * 256, "longer than 255 bytes"),
        ("é" * 128, "longer than 255 bytes"),
        ("a/" * 70, "directories deep"),
        ("", "names the model directory itself"),
        (".", "names the model directory itself"),
        ("./", "names the model directory itself"),
        (None, "is a NoneType, not text"),
        (3, "is a int, not text"),
        (["data"], "is a list, not text"),
        (b"data", "is a bytes, not text"),
    ],
)
def test_unsafe_paths_are_refused(model, relative, reason) -> None:
    """Paths that leave the directory, or are not plain relative text, are refused with the field and the reason."""
    with pytest.raises(UnsafePath, match=reason) as caught:
        confine(model, relative, field="flavors.sklearn.pickled_model")
    assert str(caught.value).startswith("flavors.sklearn.pickled_model names ")


def test_the_root_is_allowed_where_asked(model) -> None:
    """An empty path or "." means the directory itself for fields that allow it."""
    assert confine(model, "", field="data", allow_root=True) == model
    assert confine(model, ".", field="data", allow_root=True) == model


@pytest.mark.parametrize("goal", ["../secret", "model.pkl", "/etc/passwd", "nowhere"])
def test_links_are_refused_wherever_they_lead(model, goal) -> None:
    """A symbolic link is refused as the file, and as a directory on the way to it (Y38)."""
    (model / "link").symlink_to(goal)
    (model / "folder").symlink_to(model / "data", target_is_directory=True)
    for relative in ("link", "folder/inner/x.bin", "folder"):
        with pytest.raises(UnsafePath, match="symbolic link"):
            confine(model, relative, field="data")


def test_special_files_are_refused(model) -> None:
    """A FIFO, a socket or a device in the place of a file is refused without being opened (Y41)."""
    os.mkfifo(model / "fifo")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(model)  # a socket's path may not be long
        try:
            server.bind("socket")
        finally:
            os.chdir(here)
        for name, kind in (("fifo", "FIFO"), ("socket", "socket")):
            with pytest.raises(UnsafePath, match=f"which is a {kind}"):
                confine(model, name, field="data")
            with pytest.raises(UnsafePath, match=f"which is a {kind}"):
                read_small(model / name, 10)
            with pytest.raises(UnsafePath, match=f"which is a {kind}"):
                list_files(model)
            (model / name).unlink()


@pytest.mark.parametrize("relative", ["nothing", "data/nothing", "model.pkl/x"])
def test_a_missing_file_is_reported_with_its_field(model, relative) -> None:
    """A file that the model names and does not have is reported as missing, with the field that names it."""
    with pytest.raises(ModelChanged, match=r"It is named by flavors\.x\.data") as caught:
        confine(model, relative, field="flavors.x.data")
    assert caught.value.missing == (relative,)


@given(st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "\\", "C:", "\0", "x" * 300, "data"])).map("/".join))
def test_no_text_leads_out(tmp_path_factory, relative) -> None:
    """Whatever the text, confine returns a path inside the root or raises one of Palate's errors."""
    root = tmp_path_factory.getbasetemp()
    try:
        found = confine(root, relative, field="data", allow_root=True)
    except (UnsafePath, ModelChanged):
        return
    assert Path(os.path.realpath(found)).is_relative_to(os.path.realpath(root))


@given(st.text(st.characters(categories=["L", "N", "Zs"], include_characters="._-"), min_size=1, max_size=60))
def test_ordinary_names_are_not_refused(name) -> None:
    """Names in any script, with spaces, dots and dashes, are fine."""
    assert (name_problem(name) is None) == (name != "..")


# -- list_files, read_small --------------------------------------------------------------------------------------------


def test_files_are_listed_sorted_and_relative(model) -> None:
    """Every file is listed with its POSIX path, in the order of the names; directories are not."""
    (model / "empty").mkdir()
    assert list_files(model) == ["MLmodel", "data/inner/x.bin", "model.pkl"]


@pytest.mark.parametrize("name", ["a\nb", "back\\slash", "model\u202elkp.pt", "\udcff"])
def test_a_file_with_an_unsafe_name_is_refused(model, name) -> None:
    """Names that could be misread, or that are not text, are refused."""
    (model / name).touch()
    with pytest.raises(UnsafePath):
        list_files(model)


def test_a_link_in_the_listing_is_refused(model) -> None:
    """A model directory holds no symbolic links, not even dangling ones."""
    (model / "link").symlink_to("nowhere")
    with pytest.raises(UnsafePath, match="symbolic link"):
        list_files(model)


def test_endless_nesting_is_refused(model) -> None:
    """A tree deeper than any model's is refused instead of being walked to its end."""
    place = model
    for _ in range(70):
        place = place / "d"
        place.mkdir()
    with pytest.raises(UnsafePath, match="deep"):
        list_files(model)


def test_small_files_are_read(model) -> None:
    """A file of up to the limit is read; one byte more is refused, whatever the file's size claims."""
    assert read_small(model / "model.pkl", 6) == b"pickle"
    with pytest.raises(InvalidModelFile, match=r"model.pkl is not valid: is larger than 5 bytes"):
        read_small(model / "model.pkl", 5)


def test_only_ordinary_files_are_read(model) -> None:
    """A link, a directory and a missing file are refused."""
    (model / "link").symlink_to("model.pkl")
    with pytest.raises(UnsafePath, match="symbolic link"):
        read_small(model / "link", 10)
    with pytest.raises(UnsafePath, match="directory"):
        read_small(model / "data", 10)
    with pytest.raises(ModelChanged) as caught:
        read_small(model / "nothing", 10)
    assert caught.value.missing == ("nothing",)
