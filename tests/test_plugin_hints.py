"""What the messages about plugins advise is what can be done."""

from __future__ import annotations

from fractions import Fraction
from types import ModuleType

import pytest
from plugin_site import GOOD

import palate
from palate._registry import FlavorRegistry
from palate.errors import FlavorBroken, FlavorConflict, FlavorNotFound, UnsupportedModel
from palate.flavors import register_flavor


def given(name: str, source: str) -> ModuleType:
    """Return a module made of *source*."""
    module = ModuleType(name)
    exec(source, vars(module))
    return module


@pytest.mark.parametrize("model", [Fraction(1, 2), type("Model", (), {"__module__": "unheard_of"})()])
def test_a_model_of_a_flavor_that_is_a_file_may_lack_the_variable(model) -> None:
    """Whoever saved with a local flavor in another process is told what that process had."""
    with pytest.raises(UnsupportedModel, match=r"Hint: .*name (its file|the file of its flavor) in PALATE_PLUGINS"):
        FlavorRegistry([]).owner_of(model)
    with pytest.raises(FlavorNotFound, match=r"Hint: .*or name its file in PALATE_PLUGINS\."):
        FlavorRegistry([]).get("fraction")


def test_two_registered_objects_of_one_name_are_told_apart() -> None:
    """Both are register_flavor's, so each is told by the module or class that it is."""
    registry = FlavorRegistry([])
    registry.register(given("one.flavor", GOOD.format(package="one")), "same")
    with pytest.raises(FlavorConflict, match=r"\(one\.flavor\) and by register_flavor \(builtins\.object"):
        registry.register(object(), "same")


def test_a_plugin_for_a_newer_palate_needs_no_correction() -> None:
    """The hint says what the reason says."""
    newer = given("newer", GOOD.format(package="newer") + "\nHOOK_API = 99\n")
    with pytest.raises(FlavorBroken, match=r"offers 1; upgrade palate\. Hint: upgrade palate; 'palate flavors list'"):
        FlavorRegistry([]).register(newer, "newer")


@pytest.mark.parametrize(
    ("formats", "hint"),
    [("('json',)", "Hint: report this to"), ("('json', 'text')", r"Hint: try another format \(json, text\) or report")],
)
def test_another_format_is_advised_where_there_is_one(tmp_path, formats, hint) -> None:
    """A flavor of one format has no other to try."""
    source = f"{GOOD.format(package='one_format')}\nFORMATS = {formats}\n@hookimpl\ndef save_model(): 1 / 0\n"
    name = f"formats_{len(formats)}"
    register_flavor(given(name, source))
    model = type("Model", (), {"__module__": "one_format"})()
    with pytest.raises(UnsupportedModel, match=hint):
        palate.save_model(model, tmp_path / "m", flavor=name)
