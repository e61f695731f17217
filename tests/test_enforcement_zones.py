"""Columns of times in a time zone."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_column import enforce, enforce_any, problems

from palate._enforcement.params import enforce_params
from palate._enforcement.plan import compile_inputs
from palate.schema import ColSpec, ParamSpec, Schema

pd = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")


NOON = pd.Timestamp("2024-07-01 10:00:00")  # in UTC; noon in Vienna

MOMENTS = [
    pd.Series([NOON]).astype("datetime64[s]"),
    pd.Series([NOON.tz_localize("UTC")]),
    pd.Series([NOON.tz_localize("UTC").tz_convert("Asia/Tokyo")]),
    pd.Series([NOON.tz_localize("UTC").tz_convert("Europe/Vienna")]).astype("datetime64[us, Europe/Vienna]"),
    pd.Series(["2024-07-01T10:00:00"]),
    pd.Series(["2024-07-01T12:00:00+02:00"]),
    pd.Series([NOON.to_pydatetime()], dtype=object),
    pd.Series(["2024-07-01T10:00:00Z"], dtype="category"),
    pd.Series([NOON], dtype=pd.ArrowDtype(pa.timestamp("us"))),
    pd.Series([NOON.tz_localize("UTC")], dtype=pd.ArrowDtype(pa.timestamp("ms", tz="Asia/Tokyo"))),
]


@pytest.mark.parametrize("zone", ["Europe/Vienna", "UTC", "UTC+02:00"])
@pytest.mark.parametrize("series", MOMENTS, ids=lambda series: str(series.dtype))
def test_times_come_in_the_zone_of_the_column(series: Any, zone: str) -> None:
    """Whatever tells a moment becomes datetime64[ns] in the column's zone; without one of its own it is UTC."""
    result = enforce(series, "datetime", timezone=zone)
    assert result.dtype == pd.DatetimeTZDtype("ns", zone)
    assert result.tolist() == [NOON.tz_localize("UTC")]
    assert result.dt.hour.tolist() == [10 if zone == "UTC" else 12]


def test_times_of_the_right_zone_pass_untouched() -> None:
    """A column in the zone, in nanoseconds, is left alone, and so is the frame."""
    frame = pd.DataFrame(
        {"a": pd.Series([NOON, None]).dt.tz_localize("Europe/Vienna").astype("datetime64[ns, Europe/Vienna]")}
    )
    assert (
        compile_inputs(Schema((ColSpec(type="datetime", name="a", timezone="Europe/Vienna"),))).enforce(frame) is frame
    )


def test_missing_times_stay_missing_and_may_be_refused() -> None:
    """NaT has no zone and stays NaT; with nullable=False it is refused."""
    series = pd.Series([NOON, None])
    assert enforce(series, "datetime", timezone="UTC").isna().tolist() == [False, True]
    assert problems(series, "datetime", timezone="UTC", nullable=False)[0][0] == "missing"


def test_a_zoned_column_is_the_models_own() -> None:
    """Writing into the zoned column does not write into the caller's times."""
    series = pd.Series([NOON], index=[3]).astype("datetime64[ns]")
    result = enforce(series, "datetime", timezone="Europe/Vienna")
    result.iloc[0] = pd.Timestamp(0, tz="Europe/Vienna")
    assert series.tolist() == [NOON]
    assert result.index.tolist() == [3]


@pytest.mark.parametrize("series", [pd.Series([1]), pd.Series(["noon"]), pd.Series(["3020-01-01"]), pd.Series([True])])
def test_what_is_no_time_has_no_zone(series: Any) -> None:
    """A zone makes no time of a number or of other text."""
    assert problems(series, "datetime", timezone="Europe/Vienna")


@given(st.datetimes(dt.datetime(1700, 1, 1), dt.datetime(2200, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_every_moment_stays_the_same_moment(moment: dt.datetime) -> None:
    """Gaps and folds of daylight saving, in the giver's zone and in the column's, change no moment."""
    result = enforce(pd.Series([moment], dtype=object), "datetime", timezone="Europe/Vienna")
    assert result.dt.tz_convert("UTC").tolist() == [moment.astimezone(dt.UTC)]


class Nowhere(dt.tzinfo):
    """A zone that tells no offset, so that its times are as naive as those without a zone."""

    def utcoffset(self, when: dt.datetime | None) -> None:
        """Tell no offset."""


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the zone of the machine cannot be changed")
def test_a_zone_without_an_offset_is_not_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Python takes for local time is taken as times without a zone are, in columns and in params."""
    moment = dt.datetime(2020, 1, 1, 12, tzinfo=Nowhere())
    spec = ParamSpec(name="since", type="datetime", default=None)
    try:
        for zone in ("Asia/Tokyo", "UTC"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            column = enforce_any({"a": pd.Series([moment], dtype=object)}, "datetime")
            assert column.tolist() == [pd.Timestamp("2020-01-01 12:00")]
            assert enforce_params({"since": moment}, (spec,)) == {"since": moment.replace(tzinfo=None)}
    finally:
        monkeypatch.undo()
        time.tzset()
