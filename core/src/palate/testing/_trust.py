"""Checks: what the flavor says of the code in a directory is true."""

from __future__ import annotations

import pytest

from palate._flavor import Flavor
from palate.errors import TrustRequired
from palate.inspection import inspect_model
from palate.testing._files import code_within
from palate.testing._subject import Saved, Subject

__all__ = ["TrustChecks"]


class TrustChecks(Subject):
    """Whoever opens a directory is told the truth about it."""

    def test_code_is_reported(self, saved: Saved) -> None:
        """A pickle or code anywhere in the directory is reported by executes_code: people decide by its answer."""
        found = code_within(saved.path)
        if found:
            assert saved.trust, f"there is code in {', '.join(found)}, and executes_code gives no reason"

    def test_reasons_name_files(self, saved: Saved) -> None:
        """Each reason to need trust names a file of the directory, for people to look at, and the rule it breaks."""
        for reason in inspect_model(saved.path).reasons:
            assert (saved.path / reason.file).exists(), f"there is no {reason.file}"
            assert reason.rule, f"the reason for {reason.file} does not say why"

    def test_untrusted_load_keeps_to_the_answer(self, saved: Saved) -> None:
        """Without trust a directory loads if executes_code gave no reason, and only then."""
        if saved.trust:
            with pytest.raises(TrustRequired):
                saved.load(trust=False)
        else:
            saved.load(trust=False).predict(saved.rows())

    def test_format_needs_the_trust_it_says(self, saved: Saved, activated: Flavor) -> None:
        """FORMATS_NEEDING_TRUST is what executes_code answers for a directory of that format: lists show it."""
        format_name = self.format or activated.formats[0]
        assert saved.trust == (format_name in activated.formats_needing_trust)

    def test_default_format_is_safe(self, activated: Flavor) -> None:
        """The default format opens without trust: what nobody chose should not run code."""
        default = activated.formats[0]
        assert default not in activated.formats_needing_trust, (
            f"{default} needs trust; put a format first that does not"
        )

    def test_guarantees_fit_the_trust(self, saved: Saved) -> None:
        """A directory that opens without trust is guaranteed to run no code, and no other one is."""
        info = inspect_model(saved.path)
        if info.guarantees is None:
            pytest.skip("the flavor states no guarantees")
        assert info.guarantees.no_code is not info.trust_needed

    def test_answer_is_the_same_each_time(self, saved: Saved) -> None:
        """executes_code and guarantees answer by the directory alone: what people decide by is true when they load."""
        before = inspect_model(saved.path)
        saved.load()
        after = inspect_model(saved.path)
        assert (before.reasons, before.guarantees) == (after.reasons, after.guarantees)
