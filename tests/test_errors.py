"""The error tree: every error crosses a process and keeps its text and its facts."""

from __future__ import annotations

import copy
import errno
import pickle

import pytest

from palate import errors
from palate.errors import CodeReason, PalateError, Problem

PROBLEM = Problem(("inputs", "age"), "missing", "is missing")

MADE = [
    errors.DataNotFound("rows/*.csv", reason="no file matches the pattern"),
    errors.InvalidData("rows.csv", reason="it is empty", hint="give it a header line"),
    errors.DependencyMissing("pyarrow", needed_for="parquet"),
    errors.EnvironmentFailed("install", output=["no such package"], hint="look"),
    errors.FlavorBlocked("toy", distribution="palate-toy", variable="PALATE_ALLOWED_PLUGINS"),
    errors.FlavorBroken("toy", distribution="palate-toy", version="1", reason="OSError"),
    errors.FlavorConflict("The name", distributions=["a", "b"], choices=["a:x", "b:x"]),
    errors.FlavorNotFound("toy", installed=["sklearn"]),
    errors.InvalidExample([PROBLEM]),
    errors.InvalidInput([PROBLEM, PROBLEM]),
    errors.RemoteFailed("https://host/m", doing="fetch", reason="nothing is there", hint="check the address"),
    errors.WrongModel("m@sha256:aa", wanted="aa", found="bb"),
    errors.InvalidStore("store/store.json", reason="it is not JSON"),
    errors.StoreFailed("store", reason="No space left on device"),
    errors.AliasMoved("iris@champion", expected=2, found=None),
    errors.BreakingChange("iris@champion", old=1, new=2, changes=["inputs.age: a new column that is required"]),
    errors.GateDemanded("iris@champion", gate="0" * 64),
    errors.VersionInUse("iris/1", aliases=["champion"]),
    errors.VersionNotFound("iris/9", reason="there is no such version", known=["1 to 8"]),
    errors.CacheFailed("cache", reason="No space left on device"),
    errors.InvalidArchive("m.palate", rule="it is cut short", hint="fetch it again"),
    errors.InvalidKey("a.pem", reason="it is encrypted", hint="give its password"),
    errors.InvalidModelFile([PROBLEM], source="MANIFEST.json"),
    errors.InvalidOption("trust", reason="it is text", hint="pass True"),
    errors.InvalidRequirement("-e .", reason="no option", hint="go"),
    errors.InvalidSignature([PROBLEM]),
    errors.LoadFailed("m", flavor="toy", cause=ValueError("x"), differences=["a"], matters=True),
    errors.MethodNotFound("transform", available=["predict"]),
    errors.ModelChanged("m", changed=["MLmodel"]),
    errors.ModelCrashed("m", task="predict", ending="signal SIGSEGV"),
    errors.ModelExists("m", is_model=True),
    errors.ModelNotFound("m", reason="nothing is there"),
    errors.ModelOutOfMemory("m", task="predict", limit=1 << 30),
    errors.ModelTimeout("m", task="load", seconds=3.0),
    errors.NativeElsewhere("m"),
    errors.NotTransferable("builtins.object", where="the predictions"),
    errors.PredictionChanged("m", differences=["a"]),
    errors.ProjectExists("palate-toy"),
    errors.PythonNotFound("3.12", found=["3.11.7"]),
    errors.SaveFailed("m", cause=OSError(errno.ENOSPC, "No space left")),
    errors.SignatureExists("m", place="model.sig"),
    errors.SignatureInvalid("m", reason="it is by another key"),
    errors.SignatureMissing("m", place="model.sig"),
    errors.TrustRequired("m", reasons=[CodeReason("a.pkl", "a pickle")]),
    errors.UnsafeModel("a.skops", rule="it names os.system"),
    errors.UnsafePath("../a", field="data", reason="which leaves"),
    errors.UnsupportedOutput("polars", reason="it has no such type"),
    errors.UnsupportedModel("dict", reason="no model", hint="save a model"),
]


def test_every_error_is_tried_here() -> None:
    """The list above has each public error once."""
    public = [getattr(errors, name) for name in errors.__all__]
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, PalateError)}
    assert {type(error) for error in MADE} == kinds - {PalateError}


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_an_error_crosses_a_process(error) -> None:
    """Pickled or copied, it has the same class, text and facts."""
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)
        assert getattr(other, "errno", None) == getattr(error, "errno", None)
