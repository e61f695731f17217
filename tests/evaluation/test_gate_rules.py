"""The grammar of a gate's rules: what is read, and what people who write otherwise are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.evaluation._gate_rules import Limit, RuleSyntax, Scope, parse_rule

READ = {
    "accuracy >= 0.9": ("metric", "accuracy", ">=", Limit(number=0.9), None, None),
    "  r2>-0.5 ": ("metric", "r2", ">", Limit(number=-0.5), None, None),
    "mcc > \N{MINUS SIGN}1e-1": ("metric", "mcc", ">", Limit(number=-0.1), None, None),
    "rmse ≤ .5": ("metric", "rmse", "<=", Limit(number=0.5), None, None),
    "f1 >= baseline": ("metric", "f1", ">=", Limit(factor=1.0), None, None),
    "f1>=baseline-0.01 with 95% confidence": ("metric", "f1", ">=", Limit(factor=1.0, number=-0.01), 0.95, None),
    "f1 > baseline with 97.5 % confidence": ("metric", "f1", ">", Limit(factor=1.0), 0.975, None),
    "rmse <= 1.05 * baseline": ("metric", "rmse", "<=", Limit(factor=1.05), None, None),
    "rmse <= 1.05*baseline + 2": ("metric", "rmse", "<=", Limit(factor=1.05, number=2.0), None, None),
    "accuracy >= 0.8 with 95% confidence": ("metric", "accuracy", ">=", Limit(number=0.8), 0.95, None),
    "p99 latency <= 5 ms": ("latency", "p99", "<=", Limit(number=5.0), None, None),
    "p50 latency < 0.2s": ("latency", "p50", "<", Limit(number=200.0), None, None),
    "mean latency < 500us": ("latency", "mean", "<", Limit(number=0.5), None, None),
    "p95 latency <= 1.1 * baseline + 1 ms": ("latency", "p95", "<=", Limit(factor=1.1, number=1.0), None, None),
    "rows >= 1000": ("rows", "rows", ">=", Limit(number=1000.0), None, None),
    "'rows' >= 1": ("metric", "rows", ">=", Limit(number=1.0), None, None),
    "f1 >= 0.8 for area=north": ("metric", "f1", ">=", Limit(number=0.8), None, Scope(column="area", value="north")),
    "f1 >= 0.8 for age = 0-18": ("metric", "f1", ">=", Limit(number=0.8), None, Scope(column="age", value="0-18")),
    "f1 >= 0.8 for each region": ("metric", "f1", ">=", Limit(number=0.8), None, Scope(column="region")),
    "f1 >= 0.8 for each region of at least 30 rows": (
        "metric", "f1", ">=", Limit(number=0.8), None, Scope(column="region", least_rows=30)
    ),
    "f1 >= 0.8 for each region with 90% confidence": (
        "metric", "f1", ">=", Limit(number=0.8), 0.9, Scope(column="region")
    ),
    "f1 >= 0.8 with 90% confidence for each region": (
        "metric", "f1", ">=", Limit(number=0.8), 0.9, Scope(column="region")
    ),
    "\"my  metric's\" >= 1 for 'home region' = \"North, East\"": (
        "metric", "my  metric's", ">=", Limit(number=1.0), None, Scope(column="home region", value="North, East")
    ),
    "f1 >= 0.5 for each each": ("metric", "f1", ">=", Limit(number=0.5), None, Scope(column="each")),
    "f1 >= 0.5 for 'each' = 1": ("metric", "f1", ">=", Limit(number=0.5), None, Scope(column="each", value="1")),
    "größe >= 1": ("metric", "größe", ">=", Limit(number=1.0), None, None),
}  # fmt: skip

REFUSED = {
    "": "at its beginning there must be the name of a metric",
    ">= 0.9": "at its beginning there must be the name of a metric",
    "accuracy": "one of >=, <=, >, <",
    "accuracy = 0.9": "one of >=, <=, >, <, not '= 0.9'",
    "accuracy == 0.9": "one of >=, <=, >, <",
    "accuracy => 0.9": "one of >=, <=, >, <",
    "accuracy >= ninety": "a number, baseline, or a number * baseline, not 'ninety'",
    "accuracy >= nan": "a number, baseline",
    "accuracy >= 1e999": "no number that a figure could have",
    "accuracy >= 90%": "write a share as 0.9",
    "f1 >= baseline - 1%": "0.99 * baseline",
    "f1 >= -baseline": "a number, baseline",
    "f1 >= 0 * baseline": "a number above 0",
    "f1 >= baseline -": "there must be a number",
    "f1 >= 0.9 * baseline with 95% confidence": "only a difference has a confidence interval",
    "f1 >= baseline with 95% confidence for each region": "differences of slices have no confidence interval",
    "f1 >= 0.9 with 95": "'% confidence'",
    "f1 >= 0.9 with 0.95% confidence": "between 50% and 100%",
    "f1 >= 0.9 with 100% confidence": "between 50% and 100%",
    "f1 >= 0.9 for region": "write 'for each region'",
    "f1 >= 0.9 for each": "must be a column",
    "f1 >= 0.9 for each region of 30 rows": "'at least'",
    "f1 >= 0.9 for region=north for site=a": "'with 95% confidence' or nothing more",
    "f1 >= 0.9 and recall >= 0.8": "nothing more, not 'and recall >= 0.8'",
    "p99 latency <= 5": "a unit of time",
    "p99 latency <= 5 minutes": "a unit of time",
    "p99 <= 5 ms": "Write 'p99 latency'",
    "p98 latency <= 5 ms": "p50, p95, p99, mean",
    "p99 latency <= 5 ms with 95% confidence": "a latency has no interval",
    "p99 latency <= 5 ms for each region": "no slices",
    "f1 <= 5 ms": "only a latency has a unit",
    "rows >= baseline": "give a number",
    "f1 >= 0.9 " + "x" * 2000: "which no rule has",
}


@pytest.mark.parametrize("text", READ)
def test_a_rule_is_read(text: str) -> None:
    """Every form of the grammar gives the value that it means."""
    rule = parse_rule(text)
    found = (rule.kind, rule.subject, rule.comparator, rule.limit, rule.confidence, rule.scope)
    assert found == READ[text]
    assert rule.text == text.strip()
    assert rule.needs_baseline == ("baseline" in text)


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:50])
def test_what_is_no_rule_is_refused(text: str) -> None:
    """A text that is no rule is refused, with what should stand there."""
    with pytest.raises(RuleSyntax) as caught:
        parse_rule(text)
    assert REFUSED[text] in str(caught.value)


@given(
    st.text(max_size=80) | st.sampled_from(sorted(READ)).flatmap(lambda t: st.integers(0, len(t)).map(lambda n: t[:n]))
)
def test_any_text_is_a_rule_or_refused(text: str) -> None:
    """No text, nor the beginning of a rule, makes the reader fail in another way."""
    try:
        rule = parse_rule(text)
    except RuleSyntax:
        return
    assert parse_rule(rule.text) == rule


@given(st.floats(min_value=-1e6, max_value=1e6), st.sampled_from([">=", "<=", ">", "<"]))
def test_a_number_is_read_as_it_is(number: float, sign: str) -> None:
    """A limit is the float that Python writes in this way."""
    assert parse_rule(f"accuracy {sign} {number!r}").limit.number == number
