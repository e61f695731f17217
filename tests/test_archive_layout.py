"""How a model lies in one file: the same files are the same bytes, and other tools read them."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate._archive.layout import Content, lay_out
from palate._archive.reading import open_archive
from palate._archive.writing import write_archive

GIBIBYTE = 1 << 30
NAMES = st.from_regex(r"[a-z]{1,8}(/[a-z0-9]{1,8}){0,2}", fullmatch=True)


def make(root: Path, files: dict[str, bytes]) -> Path:
    """Write files under a directory."""
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


FILES = {
    "MLmodel": b"flavors: {}\n",
    "code/a.py": b"x = 1\n",
    "data/empty": b"",
    "data/large.bin": bytes(range(256)) * 100,
    "naïve.txt": b"text",
}


def test_the_layout_is_what_it_was() -> None:
    """These files have given this archive since the format began: whoever changes that changes what a sha256 means."""
    layout = lay_out([Content(name, len(content), 1) for name, content in FILES.items()])
    text = b"".join(member.header for member in layout.members) + layout.directory
    assert hashlib.sha256(text).hexdigest() == "665c9a727ea4a2eeeb095d79e788b411b596ca3d38fca2aebc5a7aa6a03ecfa5"
    assert layout.size == 30066


def test_order_and_times_of_the_files_do_not_matter(tmp_path) -> None:
    """Two directories with the same files give the same bytes, however they came to be."""
    one = make(tmp_path / "one", FILES)
    two = make(tmp_path / "two", dict(reversed(FILES.items())))
    (two / "MLmodel").chmod(0o600)
    sums = {write_archive(root, tmp_path / f"{root.name}.palate", None)[0] for root in (one, two)}
    assert len(sums) == 1
    assert (tmp_path / "one.palate").read_bytes() == (tmp_path / "two.palate").read_bytes()


def test_the_sha256_that_is_told_is_that_of_the_file(tmp_path) -> None:
    """What `palate pack` prints is what `sha256sum` says."""
    sha256, count = write_archive(make(tmp_path / "m", FILES), tmp_path / "m.palate", None)
    assert sha256 == hashlib.sha256((tmp_path / "m.palate").read_bytes()).hexdigest()
    assert count == len(FILES)


def test_pythons_zip_reader_finds_the_same_files(tmp_path) -> None:
    """zipfile, a reader that is not ours, finds every file whole, stored, and no other."""
    write_archive(make(tmp_path / "m", FILES), tmp_path / "m.palate", None)
    with zipfile.ZipFile(tmp_path / "m.palate") as archive:
        assert archive.testzip() is None
        assert {info.filename: archive.read(info) for info in archive.infolist()} == FILES
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@pytest.mark.skipif(shutil.which("unzip") is None, reason="unzip is not installed")
def test_unzip_finds_nothing_to_complain_of(tmp_path) -> None:
    """Info-ZIP's unzip tests every file without a warning."""
    write_archive(make(tmp_path / "m", FILES), tmp_path / "m.palate", None)
    done = subprocess.run(["unzip", "-t", tmp_path / "m.palate"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout + done.stderr


@given(st.dictionaries(NAMES, st.integers(0, 3 * 4096), min_size=1, max_size=12))
def test_files_begin_where_they_can_be_mapped(sizes) -> None:
    """Each file begins at a multiple of 64 bytes, large ones at one of a page, right behind the header before it."""
    layout = lay_out([Content(name, size, 0) for name, size in sizes.items()])
    place = 0
    for member in layout.members:
        assert member.start == place
        assert member.offset % (4096 if member.content.size >= 4096 else 64) == 0
        place = member.stop
    assert layout.size == place + len(layout.directory)


@pytest.mark.parametrize(
    "sizes",
    [[4 * GIBIBYTE - 2], [4 * GIBIBYTE - 1], [4 * GIBIBYTE], [5 * GIBIBYTE, 10], [3 * GIBIBYTE, 3 * GIBIBYTE, 3]],
    ids=str,
)
def test_files_of_gigabytes_are_told_as_zip_tells_them(tmp_path, sizes) -> None:
    """Sizes and places of 4 GiB and more are in ZIP64's fields; zipfile and our own reader find the same."""
    contents = [Content(f"{number}", size, 0) for number, size in enumerate(sizes)] + [Content("MLmodel", 0, 0)]
    layout = lay_out(contents)
    with (tmp_path / "m.palate").open("wb") as file:  # sparse: the files' own bytes are holes
        for member in layout.members:
            file.seek(member.start)
            file.write(member.header)
        file.seek(layout.size - len(layout.directory))
        file.write(layout.directory)
    with zipfile.ZipFile(tmp_path / "m.palate") as archive:
        assert [info.file_size for info in archive.infolist()][:-1] == sizes
        for info, member in zip(archive.infolist(), layout.members, strict=True):
            assert info.header_offset == member.start
            archive.open(info).close()  # zipfile compares the local header's name
    with open_archive(tmp_path / "m.palate") as opened:
        assert opened.layout == layout


def test_many_files_are_told_as_zip_tells_them() -> None:
    """From 65,535 files on their number is in ZIP64's end, too, as zipfile reads it."""
    layout = lay_out([Content(f"{number:06}", 0, 0) for number in range(65_535)])
    data = b"".join(member.header for member in layout.members) + layout.directory
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert len(archive.infolist()) == 65_535
