"""palate.environments.create_environment: an environment that the model predicts in, and whose trust it needs."""

from __future__ import annotations

import grp
import os
import platform
import pwd
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from environment_models import rewrite
from wheelhouse import use_only

import palate
from palate._rebuilding.planning import open_wanted
from palate.environments import BuiltEnvironment, create_environment, list_environments, remove_environment
from palate.errors import (
    EnvironmentFailed,
    InvalidModelFile,
    InvalidOption,
    ModelChanged,
    TrustRequired,
)

MLFLOW_MODELS = Path(__file__).parents[1] / "data" / "mlflow_models"

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def function(tmp_path: Path) -> Path:
    """A pickled function, which needs trust, and six besides."""

    def double(data: np.ndarray) -> np.ndarray:
        return data * 2

    palate.save_model(
        double, tmp_path / "double", input_example=np.arange(3.0), requirements=["six==1.17.0", "cloudpickle"]
    )
    return tmp_path / "double"


def run_in(built: BuiltEnvironment, code: str) -> str:
    """Run code in an environment."""
    return subprocess.run([built.python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout


# -- what is built -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_environment_opens_the_model(line, cache, installer, monkeypatch) -> None:
    """The very Palate that is here is there, wherever variables lead; the golden predictions were replayed."""
    monkeypatch.setenv("PIP_TARGET", str(cache.parent / "elsewhere"))
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    built = create_environment(line, installer=installer)
    assert (built.installer, built.reused, built.predictions) == (installer, False, "ok")
    assert built.directory.parent == cache
    where = run_in(built, "import palate, palate_toy; print(palate.__file__); print(palate_toy.__file__)").split()
    assert all(Path(place).is_relative_to(built.directory) for place in where)
    assert (Path(where[0]).parent / "environments.py").read_bytes() == Path(palate.environments.__file__).read_bytes()
    assert built.directory.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in cache.iterdir()] == [built.directory.name]


def test_the_same_content_is_built_once(line, tmp_path) -> None:
    """A second call, and another model that asks for the same, get the environment that is there."""
    first = create_environment(line)
    shutil.copytree(line, tmp_path / "copy")
    second = create_environment(tmp_path / "copy")
    assert second.reused
    assert (second.directory, second.digest, second.predictions) == (first.directory, first.digest, "ok")
    other = create_environment(line, extra_requirements=["idna"], replay=False)
    assert other.directory != first.directory
    assert (other.predictions, other.detail) == ("skipped", "it was not asked for")


def test_the_cache_is_listed_and_emptied(line) -> None:
    """Each environment says what it is, and goes by the beginning of its name."""
    built = create_environment(line, replay=False)
    (found,) = list_environments()
    assert (found.directory, found.whole, found.model) == (built.directory, True, str(line))
    assert found.python_version == platform.python_version()
    with pytest.raises(InvalidOption, match="there is no 'x'"):
        remove_environment("x")
    assert remove_environment(found.name[:8]) == built.directory
    assert list_environments() == []


@pytest.mark.parametrize(("inner", "outer"), [(0o777, 0o755), (0o770, 0o755), (0o700, 0o777), (0o755, 0o775)])
def test_a_cache_that_others_write_to_is_not_used(line, cache, inner, outer) -> None:
    """What is found there would be run; whoever may write to the folder above can put another one there."""
    cache.mkdir(parents=True)
    for place, mode in ((cache, inner), (cache.parent, outer)):
        os.chown(place, -1, 12345 if os.geteuid() == 0 else -1)
        place.chmod(mode)
    if os.geteuid() and not (inner | outer) & 0o002:
        pytest.skip("only root may give a folder to another group")
    with pytest.raises(InvalidOption, match="another user"):
        create_environment(line)


def test_a_cache_of_ones_own_is_used(line, cache) -> None:
    """A group of the user's name that nobody else is in, as where the umask is 002, is no other user; nor is /tmp."""
    from palate._disk.cache_folder import check_private

    cache.mkdir(parents=True)
    check_private(cache)
    cache.parent.chmod(0o1777)
    check_private(cache)
    user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(os.getegid())
    if group.gr_name == user.pw_name and user.pw_gid == os.getegid() and set(group.gr_mem) <= {user.pw_name}:
        cache.chmod(0o775)
        check_private(cache)


def test_a_bad_place_in_further_requirements_is_refused(line) -> None:
    """An index there would lose its password, and a folder would mean nothing: each has its own argument."""
    for text in ("--index-url=https://user:secret@index.example", "--find-links=wheels"):
        with pytest.raises(InvalidOption, match="index_url=") as caught:
            create_environment(line, extra_requirements=["six", text])
        assert "secret" not in str(caught.value)


def test_an_environment_that_lost_its_interpreter_is_built_anew(line) -> None:
    """As when the Python that it was made from was removed."""
    first = create_environment(line, replay=False)
    first.python.unlink()
    again = create_environment(line, replay=False)
    assert (again.directory, again.reused) == (first.directory, False)
    assert again.python.exists()


def test_a_folder_of_the_callers(line, tmp_path) -> None:
    """It may be missing or empty; what holds anything is left alone."""
    target = tmp_path / "new" / "environment"
    built = create_environment(line, directory=target)
    assert built.directory == target
    assert [path.name for path in target.parent.iterdir()] == ["environment"]
    for taken in (target, line):
        before = sorted(taken.rglob("*"))
        with pytest.raises(InvalidOption, match="is there already"):
            create_environment(line, directory=taken)
        assert sorted(taken.rglob("*")) == before


def test_mlflow_is_left_out_of_what_it_wrote_itself(line) -> None:
    """It names itself in every directory; whoever saved with Palate and names it means it."""
    assert open_wanted(MLFLOW_MODELS / "pyf_from_code" / "model")[1].left_out == ("mlflow==3.17.2",)
    rewrite(line, "requirements.txt", "mlflow==3.17.2\nnumpy\n")
    with pytest.raises(TrustRequired, match="mlflow"):
        create_environment(line)


def test_constraints_hold_for_what_comes_along(line) -> None:
    """A bound in the model's constraints.txt that nothing fulfils is the resolver's to refuse."""
    (line / "constraints.txt").write_text("click<1\n")
    rewrite(line, "requirements.txt", "numpy\n-c constraints.txt\n")
    with pytest.raises(EnvironmentFailed, match="click"):
        create_environment(line)


# -- trust -------------------------------------------------------------------------------------------------------------


def test_foreign_packages_need_trust(function, cache) -> None:
    """What Palate does not require itself is not installed for a model that nobody trusts; each is named."""
    with pytest.raises(TrustRequired) as caught:
        create_environment(function)
    assert [reason.file for reason in caught.value.reasons] == ["requirements.txt"]
    assert "six" in str(caught.value)
    assert not cache.exists()
    built = create_environment(function, trust=True)
    assert built.predictions == "ok"
    assert run_in(built, "import six; print(six.__version__)").strip() == "1.17.0"


def test_a_model_that_needs_trust_is_not_opened_without(function) -> None:
    """Its environment can be built, and the predictions are skipped for that reason."""
    rewrite(function, "requirements.txt", "cloudpickle\n")
    built = create_environment(function)
    assert (built.predictions, built.detail) == ("skipped", "to open it runs code of its own, which needs trust")


def test_many_foreign_packages_are_counted(line) -> None:
    """Twenty are named in the message, and how many more there are."""
    rewrite(line, "requirements.txt", "\n".join(f"foreign-{number}" for number in range(50)))
    with pytest.raises(TrustRequired, match="and 30 more") as caught:
        create_environment(line)
    assert len(caught.value.reasons) == 21


def test_a_commit_needs_trust(line) -> None:
    """To build it runs its code, whatever it is called."""
    rewrite(line, "requirements.txt", f"numpy @ git+https://git.example/numpy@{'a' * 40}\n")
    with pytest.raises(TrustRequired, match="commit"):
        create_environment(line)


def test_trust_is_true_or_false(line) -> None:
    """Text from a settings file is no permission."""
    with pytest.raises(InvalidOption, match="trust"):
        create_environment(line, trust="no")  # type: ignore[arg-type]


# -- wheels and locks of the model -------------------------------------------------------------------------------------


@pytest.fixture
def carrying(function, wheelhouse) -> Path:
    """A model that carries the wheel of idna, and whose section says so."""
    (function / "wheels").mkdir()
    (wheel,) = wheelhouse.glob("idna-*.whl")
    shutil.copy(wheel, function / "wheels")
    text = (function / "MLmodel").read_text()
    entry = f"palate:\n  environment:\n    wheels:\n      idna: wheels/{wheel.name}\n"
    (function / "MLmodel").write_text(text.replace("palate:\n", entry, 1))
    rewrite(function, "requirements.txt", f"cloudpickle\nidna=={wheel.name.split('-')[1]}\n")
    return function


def test_a_carried_wheel_is_installed_by_its_path(carrying, wheelhouse, tmp_path, monkeypatch) -> None:
    """No index has to have it; without trust it is refused, because it comes with the model."""
    without = tmp_path / "without"
    shutil.copytree(wheelhouse, without, ignore=shutil.ignore_patterns("idna-*"))
    use_only(without, tmp_path, monkeypatch)
    with pytest.raises(TrustRequired, match="wheels/idna"):
        create_environment(carrying)
    built = create_environment(carrying, trust=True)
    assert "idna" in run_in(built, "import idna; print(idna.__file__)")


@pytest.mark.parametrize(
    "place", ["../idna-1-py3-none-any.whl", "wheels/-x.whl", "/etc/passwd", "wheels/six-1-py3-none-any.whl"]
)
def test_a_carried_wheel_lies_in_its_folder(carrying, place) -> None:
    """A path that leads elsewhere, or to another package, is refused."""
    text = (carrying / "MLmodel").read_text()
    before = next(line for line in text.splitlines() if "idna: wheels/" in line)
    rewrite(carrying, "MLmodel", text.replace(before, f"      idna: {place}"))
    with pytest.raises(InvalidModelFile, match="wheel"):
        create_environment(carrying, trust=True)


def test_a_carried_wheel_that_changed_is_refused(carrying) -> None:
    """Its bytes are those that the manifest lists."""
    (wheel,) = (carrying / "wheels").iterdir()
    wheel.write_bytes(wheel.read_bytes() + b"x")
    with pytest.raises(ModelChanged):
        create_environment(carrying, trust=True)


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_locked_model_is_installed_by_hash(function, wheelhouse, installer) -> None:
    """The files are those of the lock, or none is installed."""
    import hashlib

    (wheel,) = wheelhouse.glob("six-*.whl")
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f'''lock-version = "1.0"
[[packages]]
name = "six"
version = "1.17.0"
wheels = [{{name = "{wheel.name}", hashes = {{sha256 = "%s"}}}}]
'''
    rewrite(function, "pylock.toml", lock % ("0" * 64))
    with pytest.raises(EnvironmentFailed, match=r"(?i)hash"):
        create_environment(function, trust=True, installer=installer)
    if installer == "uv":
        rewrite(function, "pylock.toml", lock % digest)
        assert create_environment(function, trust=True, installer=installer).predictions == "ok"
    assert create_environment(function, trust=True, installer="uv", locked=False, replay=False).reused is False


def test_a_lock_has_to_be_there_and_for_this_python(line) -> None:
    """Asked for where there is none, and one for another Python, are errors that say so."""
    with pytest.raises(InvalidOption, match=r"pylock\.toml"):
        create_environment(line, locked=True)
    rewrite(line, "pylock.toml", 'lock-version = "1.0"\nrequires-python = "<3"\npackages = []')
    with pytest.raises(InvalidOption, match="locked for Python <3"):
        create_environment(line)
