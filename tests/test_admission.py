"""Which versions a requirement allows."""

from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from palate._environment.admission import admits_but_for_label


@pytest.mark.parametrize(
    ("line", "version", "admits"),
    [
        ("a==2.13.0+cu121", "2.13.0+cpu", True),
        ("a==2.13.0+cu121", "2.13.0", True),
        ("a===2.13.0", "2.13.0+cpu", True),
        ("a==2.13.0+cu121", "2.13.1+cpu", False),
        ("a==2.13.0+cu121,<2", "2.13.0+cpu", False),
        ("a==1.9.1,<1.0", "1.9.1", False),
        ("a==1.9.1,==1.9.2", "1.9.1", False),
        ("a==1.9.1,!=1.9.1", "1.9.1", False),
        ("a>=1,<2", "1.5+cpu", True),
        ("a>=1,<2", "2.0+cpu", False),
        ("a==1.*", "1.5+cpu", True),
        ("a", "2004-beta-final", True),
        ("a>=1", "2004-beta-final", False),
    ],
)
def test_a_label_alone_keeps_nothing_out(line: str, version: str, admits: bool) -> None:
    """Another build of the pinned version is admitted but for its label; what else excludes it still counts."""
    assert admits_but_for_label(Requirement(line), version) is admits
