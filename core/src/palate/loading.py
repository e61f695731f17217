"""Loading a model: inspect first, then construct; nothing of it is run unless the caller passes ``trust=True``."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from palate._isolation.options import Isolation, check_isolation
from palate._late import LateModule
from palate._opening import load
from palate.errors import InvalidOption
from palate.locations import Location
from palate.pyfunc import PyFuncModel

if TYPE_CHECKING:
    from palate import signing
    from palate._isolation import model as isolated
    from palate._isolation.model import IsolatedModel
    from palate._signing.keys import PublicKey
else:
    isolated = LateModule("palate._isolation.model")
    signing = LateModule("palate.signing")

__all__ = ["load_model", "load_native"]

Key: TypeAlias = "str | PathLike[str] | PublicKey"
Keys: TypeAlias = "Key | Sequence[Key]"


@overload
def load_model(
    uri: str | PathLike[str] | Location,
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    signed_by: Keys | None = None,
    isolate: Literal[True] | Isolation,
    **flavor_options: Any,
) -> IsolatedModel: ...


@overload
def load_model(
    uri: str | PathLike[str] | Location,
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    signed_by: Keys | None = None,
    isolate: bool | Isolation = False,
    **flavor_options: Any,
) -> PyFuncModel: ...


def load_model(
    uri: str | PathLike[str] | Location,
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    signed_by: Keys | None = None,
    isolate: bool | Isolation = False,
    **flavor_options: Any,
) -> PyFuncModel:
    """Load the model at *uri* behind the framework-neutral adapter.

    Args:
        uri: a model directory, or a model in one file, as a path or ``file:`` URI; a version in a store, as
            ``models:/iris@champion``; or a URI of another scheme that is installed. ``@sha256:<digest>`` behind it says
            which model it must be. Or where it was found already, by ``palate.locations``.
        trust: allow code that comes with the model to run (pickles, ``code/``, loader modules).
        flavor: open it with this flavor instead of the one that the directory names.
        verify: check every file against MANIFEST.json first; False skips that for huge models that you trust.
        signed_by: a public key, or its file (PEM), or several, one of which must have signed it (``palate sign``).
        isolate: run it in a process of its own, in an environment of its own if it needs one: True, or an ``Isolation``
            that says where, and with how much memory and time. The result is an ``IsolatedModel``, a PyFuncModel too.
        **flavor_options: what the flavor takes besides, such as ``model_config=`` for python_function.

    Raises:
        TrustRequired: opening it would run code and ``trust`` is false; nothing was run.
        UnsafeModel: a file breaks a rule of its safe format.
        FlavorNotFound, FlavorBroken: the plugin is not installed, or does not work.
        InvalidOption: the model has no flavor of that name, or the flavor takes no such option.
        ModelNotFound: there is no model.
        InvalidArchive: it is a file, and not a whole model in one file.
        ModelChanged: the files are not those that MANIFEST.json lists.
        WrongModel: it has another digest.
        SignatureMissing, SignatureInvalid: it is not signed as *signed_by*, or its store, demands.
        InvalidModelFile: MLmodel or MANIFEST.json is malformed.
        LoadFailed: the framework could not read its file.
        ModelCrashed, ModelTimeout, ModelOutOfMemory: the process of an isolated model did not get so far.
        PythonNotFound, EnvironmentFailed: its environment could not be built.
    """
    isolation = check_isolation(isolate)
    keys = _read_keys(signed_by, verify=verify)
    if isolation is not None:
        return isolated.load_isolated(
            uri, isolation, trust=trust, flavor=flavor, verify=verify, options=flavor_options, signed_by=keys
        )
    return load(uri, trust=trust, flavor=flavor, verify=verify, options=flavor_options, signed_by=keys)


def load_native(
    uri: str | PathLike[str] | Location,
    *,
    trust: bool = False,
    flavor: str | None = None,
    verify: bool = True,
    signed_by: Keys | None = None,
    **flavor_options: Any,
) -> object:
    """Load the framework's own object (an estimator, a Booster, an nn.Module); the rest is as for ``load_model``."""
    keys = _read_keys(signed_by, verify=verify)
    model = load(
        uri, trust=trust, flavor=flavor, verify=verify, options=flavor_options, signed_by=keys, to_predict=False
    )
    return model.native


def _read_keys(signed_by: Keys | None, *, verify: bool) -> tuple[bytes, ...]:
    """Return the public keys that are demanded, as PEM."""
    if signed_by is None:
        return ()
    if not verify:
        hint = "leave verify out, which is on by itself"
        raise InvalidOption("signed_by", reason="a signature of files that are not checked says nothing", hint=hint)
    keys = [signed_by] if isinstance(signed_by, str | PathLike | signing.PublicKey) else signed_by
    return tuple(key.pem for key in signing.read_keys(keys))
