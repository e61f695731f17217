"""Every error that Palate raises on purpose.

Each takes facts (what was asked, what exists) and makes its own sentence, which
ends with what to do::

    PalateError
    ├── ModelNotFound (FileNotFoundError)      no model directory there
    │   └── VersionNotFound                    a store has no such model, version or alias
    ├── ModelExists (FileExistsError)          the target of a save is taken
    ├── ProjectExists (FileExistsError)        something is where a new flavor's project shall be
    ├── SaveFailed (OSError)                   the disk refused; nothing was left behind
    ├── InvalidModelFile (ValueError)          MLmodel or MANIFEST.json is not what it should be
    ├── InvalidArchive (ValueError)            a file is no model in one file, or is not as it should be
    ├── CacheFailed (OSError)                  the user's cache cannot be used
    ├── SignatureInvalid (ValueError)          a signature is malformed, by another key, or of other files
    ├── SignatureMissing (PermissionError)     a signature is demanded of a model that has none
    ├── SignatureExists (FileExistsError)      the model is signed already
    ├── InvalidKey (ValueError)                a key cannot be read, or does not sign models
    ├── InvalidStore (ValueError)              a folder is no store, or a document of it is malformed
    ├── StoreFailed (OSError)                  a store cannot be read or written to
    ├── AliasMoved (RuntimeError)              somebody else moved an alias meanwhile
    ├── BreakingChange (ValueError)            a version would break the callers of an alias
    ├── GateDemanded (PermissionError)         an alias moves only through a gate that was not passed
    ├── VersionInUse (ValueError)              an alias leads to the version that was to be deleted
    ├── UnsafePath (ValueError)                a path that leaves, or could leave, the directory
    ├── ModelChanged (ValueError)              files differ from MANIFEST.json
    │   └── WrongModel                         another model than the one asked for by its digest
    ├── TrustRequired (PermissionError)        opening would run code carried by the model
    ├── UnsafeModel (ValueError)               a model file breaks a safety rule
    ├── LoadFailed (RuntimeError)              the framework could not read its own file
    ├── UnsupportedModel (TypeError)           this object, or this format, cannot be saved
    ├── InvalidOption (TypeError)              an argument that this flavor does not take
    ├── InvalidSignature (ValueError)          a signature is malformed or cannot be inferred
    ├── InvalidExample (ValueError)            an input example cannot be stored or read
    ├── InvalidRequirement (ValueError)        a requirement line that pip should never see
    ├── InvalidInput (ValueError)              data or params do not fit the signature
    ├── UnsupportedOutput (ValueError)         the predictions have no form in the container asked for
    ├── PredictionChanged (ValueError)         a model no longer predicts what it predicted
    ├── ModelCrashed (RuntimeError)            the process of an isolated model ended
    ├── ModelOutOfMemory (MemoryError)         an isolated model needs more than it may have
    ├── ModelTimeout (TimeoutError)            an isolated model did not answer in time
    ├── NativeElsewhere (AttributeError)       an isolated model has no native object here
    ├── NotTransferable (TypeError)            a value of this type does not cross between processes
    ├── MethodNotFound (AttributeError)        the model does not answer to that method
    ├── DataNotFound (FileNotFoundError)       no file of rows is there
    ├── InvalidData (ValueError)               a file of rows cannot be read, or is not like the others
    ├── RemoteFailed (OSError)                 a server that files are fetched from, or kept on, failed
    ├── EnvironmentFailed (RuntimeError)       a step of making, or of using, a model's environment failed
    ├── PythonNotFound (LookupError)           the Python that a model asks for is not installed
    ├── FlavorNotFound (LookupError)           no installed flavor has that name
    ├── FlavorConflict (ValueError)            two distributions claim one name or package
    ├── FlavorBlocked (PermissionError)        the host does not allow the plugin of that flavor
    ├── FlavorBroken (ImportError)             a flavor could not be activated, or does not keep its contract
    └── DependencyMissing (ImportError)        an optional package is needed for this
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from palate._data_errors import DataNotFound, InvalidData
from palate._environment_errors import EnvironmentFailed, PythonNotFound
from palate._flavor_errors import FlavorBlocked, FlavorBroken, FlavorConflict, FlavorNotFound
from palate._identity_errors import InvalidKey, SignatureExists, SignatureInvalid, SignatureMissing
from palate._plugin_failures import describe_failure
from palate._problems import PalateError, PalateWarning, Problem, ProblemKind, ProblemsError
from palate._process_errors import ModelCrashed, ModelOutOfMemory, ModelTimeout, NativeElsewhere, NotTransferable
from palate._remote_errors import RemoteFailed
from palate._storage_errors import (
    AliasMoved,
    BreakingChange,
    CacheFailed,
    GateDemanded,
    InvalidArchive,
    InvalidStore,
    StoreFailed,
    VersionInUse,
)

__all__ = [
    "AliasMoved",
    "BreakingChange",
    "CacheFailed",
    "CodeReason",
    "DataNotFound",
    "DependencyMissing",
    "EnvironmentFailed",
    "FlavorBlocked",
    "FlavorBroken",
    "FlavorConflict",
    "FlavorNotFound",
    "GateDemanded",
    "InvalidArchive",
    "InvalidData",
    "InvalidExample",
    "InvalidInput",
    "InvalidKey",
    "InvalidModelFile",
    "InvalidOption",
    "InvalidRequirement",
    "InvalidSignature",
    "InvalidStore",
    "LoadFailed",
    "MethodNotFound",
    "ModelChanged",
    "ModelCrashed",
    "ModelExists",
    "ModelNotFound",
    "ModelOutOfMemory",
    "ModelTimeout",
    "NativeElsewhere",
    "NotTransferable",
    "PalateError",
    "PalateWarning",
    "PredictionChanged",
    "Problem",
    "ProblemKind",
    "ProjectExists",
    "PythonNotFound",
    "RemoteFailed",
    "SaveFailed",
    "SignatureExists",
    "SignatureInvalid",
    "SignatureMissing",
    "StoreFailed",
    "TrustRequired",
    "UnsafeModel",
    "UnsafePath",
    "UnsupportedModel",
    "UnsupportedOutput",
    "VersionInUse",
    "VersionNotFound",
    "WrongModel",
]


class InvalidModelFile(ProblemsError):
    """A document of the model directory (MLmodel, MANIFEST.json) is malformed."""

    _headline = "{source} is not valid"

    def __init__(self, problems: Iterable[Problem], *, source: str = "MLmodel") -> None:
        super().__init__(problems, source=source)


class InvalidSignature(ProblemsError):
    """A signature is malformed, or could not be inferred from the data given."""

    _headline = "Invalid signature"


class InvalidExample(ProblemsError):
    """An input example cannot be stored as JSON or read back."""

    _headline = "Invalid input example"


class InvalidInput(ProblemsError):
    """Data or params do not fit the model's signature; ``problems`` lists all of it.

    The text names fields, expected and given types, never the caller's values.
    """

    _headline = "The input does not fit the model's signature"


class ModelNotFound(PalateError, FileNotFoundError):
    """No model directory is there."""

    def __init__(self, uri: str, *, reason: str, hint: str = "give the directory that holds the MLmodel file") -> None:
        self.uri = uri
        super().__init__(f"No model at '{uri}': {reason}. Hint: {hint}.")


class VersionNotFound(ModelNotFound):
    """A store has no such model, version or alias; *known* is what it has instead."""

    def __init__(self, reference: str, *, reason: str, known: Sequence[str]) -> None:
        self.reference, self.known = reference, tuple(known)
        hint = f"there is {', '.join(self.known[:10])}" if self.known else "'palate store list' shows what there is"
        super().__init__(reference, reason=reason, hint=hint)


class ModelExists(PalateError, FileExistsError):
    """The path to save to is taken."""

    def __init__(self, path: str, *, is_model: bool) -> None:
        self.path = path
        if is_model:
            way_on = "choose another path, or pass overwrite=True (CLI: --overwrite) to replace that model"
        else:
            way_on = "choose another path: it holds files that are not a model's, so Palate will not replace it"
        super().__init__(f"'{path}' already exists. Hint: {way_on}.")


class ProjectExists(PalateError, FileExistsError):
    """Something is where the distribution of a new flavor shall be written; it is never replaced."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(f"'{path}' already exists. Hint: remove it, or choose another directory or another name.")


class SaveFailed(PalateError, OSError):
    """Writing failed; what was there before is untouched and nothing new is left."""

    def __init__(self, path: str, *, cause: OSError) -> None:
        self.path = path
        reason = cause.strerror or str(cause)
        super().__init__(
            f"Could not save to '{path}': {reason}. Nothing was saved and nothing was changed there. "
            "Hint: see that there is room and that you may write there, or choose another place."
        )
        # OSError would take two arguments as (errno, strerror) and change the text.
        self.errno = cause.errno


class UnsafePath(PalateError, ValueError):
    """A path named by the model leaves its directory, or is not an ordinary file there."""

    def __init__(self, path: str, *, field: str, reason: str) -> None:
        self.path, self.field = path, field
        super().__init__(
            f"{field} names {path!r}, {reason}. A model may only use ordinary files inside its own directory."
        )


class ModelChanged(PalateError, ValueError):
    """The files of a model are not those that its MANIFEST.json lists."""

    def __init__(
        self,
        uri: str,
        *,
        changed: Sequence[str] = (),
        missing: Sequence[str] = (),
        extra: Sequence[str] = (),
        cause: str = "",
    ) -> None:
        self.uri = uri
        self.changed, self.missing, self.extra = tuple(changed), tuple(missing), tuple(extra)
        groups = (("changed", self.changed), ("missing", self.missing), ("not listed", self.extra))
        found = "; ".join(f"{word}: {', '.join(names[:10])}" for word, names in groups if names)
        why = f" {cause}" if cause else ""
        super().__init__(
            f"The model at '{uri}' is not what was saved ({found}).{why} Hint: fetch it again from where it "
            "came; if it is a directory, and you know the change is right, run 'palate verify --accept' on it."
        )


class WrongModel(ModelChanged):
    """A model has another identity than the one that was asked for."""

    def __init__(self, uri: str, *, wanted: str, found: str | None) -> None:
        self.uri, self.wanted, self.found = uri, wanted, found
        self.changed, self.missing, self.extra = (), (), ()
        known = f"it is sha256:{found}" if found else "it has no MANIFEST.json, so nobody knows which model it is"
        PalateError.__init__(
            self,
            f"'{uri}' is not the model that was asked for, sha256:{wanted}: {known}. Hint: find out who changed it; "
            "if it is to be another one from now on, ask for its identity, which 'palate inspect' shows.",
        )


@dataclass(frozen=True, slots=True)
class CodeReason:
    """One reason why opening a model would run code that comes with it.

    Attributes:
        file: the file, relative to the model directory, that carries the code.
        rule: what about it runs code, such as "a pickle can run any code".
    """

    file: str
    rule: str

    def __str__(self) -> str:
        return f"{self.file} ({self.rule})"


class TrustRequired(PalateError, PermissionError):
    """Opening this model, or what *doing* names instead, would run code that nobody has trusted."""

    def __init__(
        self, uri: str, *, reasons: Sequence[CodeReason], safe_format: str | None = None, doing: str = "Opening"
    ) -> None:
        self.uri, self.reasons = uri, tuple(reasons)
        listing = "; ".join(map(str, self.reasons))
        resave = f", or save it again in a safe format (format='{safe_format}')" if safe_format else ""
        super().__init__(
            f"{doing} '{uri}' would run code that comes with the model: {listing}. Nothing was run. "
            f"Hint: if you trust where it came from, pass trust=True (CLI: --trust){resave}."
        )


class UnsafeModel(PalateError, ValueError):
    """A file in a safe format breaks one of the rules that keep opening it harmless."""

    def __init__(self, file: str, *, rule: str, hint: str = "") -> None:
        self.file, self.rule = file, rule
        super().__init__(f"{file} was refused: {rule}." + (f" Hint: {hint}." if hint else ""))


class LoadFailed(PalateError, RuntimeError):
    """The flavor could not open the model, or not *prepare* it; the cause is the exception's ``__cause__``.

    *differences* are those between the model's environment and this one, the most important first; *matters* says
    whether one of them may be the reason.
    """

    def __init__(
        self,
        uri: str,
        *,
        flavor: str,
        cause: BaseException,
        differences: Sequence[str] = (),
        matters: bool = False,
        task: str = "load",
    ) -> None:
        self.uri, self.flavor, self.differences, self.matters = uri, flavor, tuple(differences), matters
        hint = "the installed packages are those that the model requires, so the file, or the flavor, is at fault"
        if self.differences:
            hint = f"what is installed differs from the model's requirements: {'; '.join(self.differences)}"
        if matters:
            hint += "; isolate=True, or 'palate env create', gives the model an environment of its own"
        told = describe_failure(cause).removesuffix(".")
        super().__init__(f"The flavor '{flavor}' could not {task} '{uri}': {told}. Hint: {hint}.")


class UnsupportedModel(PalateError, TypeError):
    """This object cannot be saved, or not in this format."""

    def __init__(self, model_type: str, *, reason: str, hint: str) -> None:
        self.model_type = model_type
        super().__init__(f"Cannot save a {model_type}: {reason}. Hint: {hint}.")


class InvalidOption(PalateError, TypeError):
    """An argument has a value that does not work, or that this flavor does not take."""

    def __init__(self, name: str, *, reason: str, hint: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"{name}: {reason}. Hint: {hint}.")


class InvalidRequirement(PalateError, ValueError):
    """A requirement line is not a plain PEP 508 requirement."""

    def __init__(self, line: str, *, reason: str, hint: str) -> None:
        self.line, self.reason = line, reason
        super().__init__(f"Requirement {line!r} was refused: {reason}. Hint: {hint}.")


class UnsupportedOutput(PalateError, ValueError):
    """Predictions have no form in the container that was asked for, or none that keeps their values."""

    def __init__(self, container: str, *, reason: str) -> None:
        self.container = container
        super().__init__(
            f"The predictions cannot be put into {container}: {reason}. Hint: leave output= out to get them as the "
            "model returns them."
        )


class PredictionChanged(PalateError, ValueError):
    """A model does not predict what it predicted when it was saved."""

    def __init__(self, uri: str, *, differences: Sequence[str]) -> None:
        self.uri, self.differences = uri, tuple(differences)
        super().__init__(
            f"'{uri}' does not predict what was recorded: {'; '.join(self.differences)}. "
            "Hint: compare the installed packages with the model's requirements.txt."
        )


class MethodNotFound(PalateError, AttributeError):
    """The model does not answer to that method."""

    def __init__(self, method: str, *, available: Sequence[str]) -> None:
        self.method, self.available = method, tuple(available)
        answers = ", ".join(self.available) or "none"
        super().__init__(f"This model has no method '{method}' (it answers to: {answers}).")


class DependencyMissing(PalateError, ImportError):
    """An optional package is needed for what was asked."""

    def __init__(self, package: str, *, needed_for: str, install: str | None = None) -> None:
        self.package = package
        super().__init__(f"{needed_for} needs {package}. Hint: pip install {install or package}.")
