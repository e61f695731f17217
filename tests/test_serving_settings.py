"""The settings of a server: one schema behind file, environment, command line, documentation and checks."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palate.errors import InvalidOption, Problem
from palate.serving.settings import (
    CONFIG_VARIABLE,
    SETTINGS,
    InvalidSettings,
    ServingSettings,
    load_settings,
    settings_table,
)

# A value for each setting that is not its default, as text.
OTHER = {
    "host": "localhost",
    "port": "9000",
    "uds": "palate.sock",
    "allow_public": "true",
    "allowed_hosts": "a.example,b.example",
    "workers": "3",
    "name": "iris",
    "protocols": "v2,palate",
    "trust": "on",
    "signed_by": "ours.pem,theirs.pem",
    "isolate": "true",
    "memory_limit": "2GiB",
    "golden": "skip",
    "max_body_bytes": "3MB",
    "max_header_bytes": "64KiB",
    "max_headers": "200",
    "max_connections": "5",
    "header_timeout": "1m",
    "body_timeout": "250ms",
    "write_timeout": "2.5",
    "predict_timeout": "1h",
    "keep_alive_timeout": "5s",
    "drain_timeout": "0",
    "max_queue_rows": "20_000",
    "max_queue_requests": "7",
    "max_batch_rows": "64",
    "threads": "4",
    "batching": "off",
    "openapi": "no",
    "docs": "0",
    "metrics": "off",
    "access_log": "errors",
    "log_format": "text",
}


@pytest.fixture
def config(tmp_path: Path):
    """Write a settings file."""

    def write(text: str) -> Path:
        path = tmp_path / "palate.toml"
        path.write_text(text)
        return path

    return write


def problems(file: Path | None = None, environ=None, flags=None) -> dict[str, str]:
    """Return what is wrong, by the place where it was set."""
    with pytest.raises(InvalidSettings) as caught:
        load_settings(file, environ or {}, flags or {})
    return {str(problem.where[0]): problem.message for problem in caught.value.problems}


def test_the_schema_is_the_dataclass() -> None:
    """Every field of the settings has a form, a help text and an entry in the documentation, and is tried here."""
    names = [field.name for field in fields(ServingSettings)]
    assert [setting.name for setting in SETTINGS] == names == list(dict.fromkeys(names))
    assert set(OTHER) == set(names)
    rows = settings_table().splitlines()[2:]
    assert len(rows) == len(SETTINGS)
    for setting, row in zip(SETTINGS, rows, strict=True):
        assert row.startswith(f"| `{setting.name}` |")
        assert setting.help.endswith(".")
        assert setting.help in row
        assert row.count("|") == 5, "a bar would end the cell"


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_source_reads_a_value_alike(config, setting) -> None:
    """What a setting takes as text, it takes in the file, the environment, as a flag and in Python, with one result."""
    text = OTHER[setting.name]
    loaded = [
        load_settings(config(f'[serve]\n{setting.name} = "{text}"\n'), {}, {}),
        load_settings(None, {setting.variable: text}, {}),
        load_settings(None, {}, {setting.name: text}),
        ServingSettings(**{setting.name: text}),
    ]
    values = [getattr(settings, setting.name) for settings in loaded]
    assert values == [values[0]] * 4
    assert values[0] != setting.default
    assert type(values[0]) is type(setting.default) or setting.default is None
    assert all(replace(settings, **{setting.name: setting.default}) == ServingSettings() for settings in loaded)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_default_as_shown_is_read_as_itself(setting) -> None:
    """What the documentation shows as a default can be written into a file."""
    shown = setting.form.show(setting.default)
    assert (setting.form.read(shown) if shown else setting.default) == setting.default


def test_flags_go_before_the_environment_before_the_file(config) -> None:
    """Each source counts only where those before it say nothing; a flag that was not given says nothing."""
    file = config('[serve]\nport = 1\nworkers = 1\nmax_headers = 11\nprotocols = ["v2"]\n')
    environ = {"PALATE_SERVE_PORT": "2", "PALATE_SERVE_WORKERS": "2", "PALATE_UNRELATED": "x", "PATH": "/bin"}
    flags = {"port": "3", "workers": None, "protocols": ()}
    loaded = load_settings(file, environ, flags)
    assert (loaded.port, loaded.workers, loaded.max_headers, loaded.protocols) == (3, 2, 11, ("v2",))
    assert loaded.host == ServingSettings().host


def test_the_environment_can_name_the_file(config) -> None:
    """A container needs no argument: PALATE_SERVE_CONFIG names the file, unless an argument does."""
    file = config("[serve]\nport = 1234\n")
    assert load_settings(None, {CONFIG_VARIABLE: str(file)}, {}).port == 1234
    assert load_settings(file, {CONFIG_VARIABLE: "/no/such/file"}, {}).port == 1234


def test_toml_types_are_taken_as_they_are(config) -> None:
    """Numbers, booleans and lists need no quotes in the file."""
    file = config(
        "[serve]\nmax_body_bytes = 1_048_576\nheader_timeout = 0.5\ntrust = true\nallowed_hosts = ['a', '*.b']\n"
    )
    with pytest.raises(InvalidSettings, match=r"'\*\.b' is not a host"):
        load_settings(file, {}, {})
    file.write_text(file.read_text().replace("*.b", "b"))
    loaded = load_settings(file, {}, {})
    assert (loaded.max_body_bytes, loaded.header_timeout, loaded.trust) == (1 << 20, 0.5, True)
    assert loaded.allowed_hosts == ("a", "b")


def test_everything_wrong_is_told_at_once_with_its_place(config) -> None:
    """Each problem of each source is listed, with the name under which it was set and what could have been meant."""
    file = config("[serve]\nport = 70000\nmax_body_byte = 3\ngolden = 'perhaps'\n[server]\nx = 1\n")
    environ = {"PALATE_SERVE_MAX_BODY_BYTES": "16M", "PALATE_SERVE_TIMEOUT": "secret", "PALATE_SERVE_port": "1"}
    found = problems(file, environ, {"workers": "0", "header_timeout": True})
    assert found == {
        f"{file}: [serve] port": "70000 is not between 0 and 65535",
        f"{file}: [serve] max_body_byte": "there is no such setting; max_body_bytes may be meant",
        f"{file}: [serve] golden": "'perhaps' is none of require, skip",
        f"{file}: server": "only the table [serve] is known here",
        "PALATE_SERVE_MAX_BODY_BYTES": "'16M' cannot be read: write bytes, as a number or as 16MiB",
        "PALATE_SERVE_TIMEOUT": found["PALATE_SERVE_TIMEOUT"],
        "PALATE_SERVE_port": "there is no such setting; PALATE_SERVE_PORT may be meant",
        "--workers": "0 is not between 1 and 256",
        "--header-timeout": "True cannot be read: write seconds, as a number or as 500ms, 30s, 1m, 1h",
    }
    assert found["PALATE_SERVE_TIMEOUT"].startswith("there is no such setting")


def test_the_error_is_wrong_use_and_says_where_to_look() -> None:
    """One problem is told in one sentence, several in a list; both are an InvalidOption and end with a hint."""
    with pytest.raises(InvalidOption, match=r"^--port: -1 is not between 0 and 65535\. Hint: 'palate serve --help'"):
        load_settings(None, {}, {"port": -1})
    with pytest.raises(InvalidSettings, match=r"^settings: 2 of them do not work:\n  - port: .*\n  - workers: .*Hint"):
        ServingSettings(port=-1, workers=0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("serve = 3", "it is not a table; write [serve] above the settings"),
        ("port = 80", "only the table [serve] is known here"),
    ],
)
def test_settings_outside_of_their_table_are_told(config, text, told) -> None:
    """A file whose settings would have been overlooked is refused."""
    assert list(problems(config(text)).values()) == [told]


def test_a_file_that_cannot_be_read_is_told(config, tmp_path) -> None:
    """A file that is not there, is not TOML or is not UTF-8 is a problem like any other, and hides no other."""
    assert "No such file" in problems(tmp_path / "none.toml")[str(tmp_path / "none.toml")]
    file = config("[serve\n")
    assert problems(file, {}, {"port": "x"}).keys() == {str(file), "--port"}
    file.write_bytes(b"[serve]\nname = '\xff'\n")
    assert "is not TOML" in problems(file)[str(file)]


def test_a_public_address_has_to_be_permitted() -> None:
    """Whatever is not surely the machine itself is refused without allow_public, and told where it was set."""
    for host in ("0.0.0.0", "::", "192.0.2.7", "example.com", "127.example.com"):
        assert "no authentication" in problems(environ={"PALATE_SERVE_HOST": host})["PALATE_SERVE_HOST"]
        assert load_settings(None, {"PALATE_SERVE_HOST": host}, {"allow_public": True}).host == host
        assert ServingSettings(host=host, uds="x.sock").uds == "x.sock"
    for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST"):
        assert ServingSettings(host=host).host == host


def test_names_that_a_host_header_may_have() -> None:
    """The machine's own names and the address listened on always; others as set, in any case; * is any."""
    local = {"localhost", "127.0.0.1", "[::1]"}
    assert ServingSettings().accepted_hosts == local
    assert ServingSettings(host="::1", allowed_hosts=("Models.Example",)).accepted_hosts == local | {"models.example"}
    assert ServingSettings(host="2001:db8::1", allow_public=True).accepted_hosts == local | {"[2001:db8::1]"}
    assert ServingSettings(allowed_hosts=("a", "*")).accepted_hosts is None


def test_what_kubernetes_says_of_a_service_is_no_setting() -> None:
    """A service called palate-serve puts PALATE_SERVE_PORT=tcp://... into every pod; the server starts nevertheless."""
    links = {
        "PALATE_SERVE_SERVICE_HOST": "10.0.0.7",
        "PALATE_SERVE_SERVICE_PORT": "80",
        "PALATE_SERVE_SERVICE_PORT_HTTP": "80",
        "PALATE_SERVE_PORT": "tcp://10.0.0.7:80",
        "PALATE_SERVE_PORT_80_TCP": "tcp://10.0.0.7:80",
        "PALATE_SERVE_PORT_80_TCP_ADDR": "10.0.0.7",
        "PALATE_SERVE_PORT_80_TCP_PORT": "80",
        "PALATE_SERVE_PORT_80_TCP_PROTO": "tcp",
    }
    assert load_settings(None, links, {}) == ServingSettings()
    assert load_settings(None, {**links, "PALATE_SERVE_PORT": "81"}, {}).port == 81
    del links["PALATE_SERVE_SERVICE_HOST"]
    assert set(problems(environ=links)) == set(links), "without the mark of Kubernetes they are mistakes"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("port", True),
        ("port", "1.5"),
        ("port", 10**400),
        ("port", "9" * 5000),
        ("port", "٣"),
        ("port", None),
        ("port", [1]),
        ("header_timeout", float("nan")),
        ("header_timeout", float("inf")),
        ("header_timeout", "-1s"),
        ("header_timeout", "1d"),
        ("max_body_bytes", "1e9"),
        ("max_body_bytes", ""),
        ("trust", 1),
        ("trust", "maybe"),
        ("uds", "a\0b"),
        ("uds", "x" * 108),
        ("uds", ""),
        ("name", "a/b"),
        ("name", ".."),
        ("protocols", []),
        ("protocols", "v2,v3"),
        ("allowed_hosts", "http://a"),
        ("allowed_hosts", "a:80"),
        ("allowed_hosts", [1]),
        ("host", "[::1]"),
        ("host", "a b"),
    ],
)
def test_a_value_of_another_form_is_refused(setting, value) -> None:
    """Numbers beyond any bound, booleans as numbers, names that a URL or a socket cannot have: none passes."""
    with pytest.raises(InvalidSettings, match=f"^{setting}: "):
        ServingSettings(**{setting: value})


@given(st.sampled_from(SETTINGS), st.text() | st.integers() | st.floats() | st.booleans() | st.lists(st.text()))
def test_any_value_is_taken_or_refused(setting, value) -> None:
    """Whatever a file or an environment holds, it is either read or an InvalidSettings with its place."""
    refused: tuple[Problem, ...] = ()
    loaded = ServingSettings()
    try:
        loaded = load_settings(None, {"PALATE_SERVE_ALLOW_PUBLIC": "1"}, {setting.name: value})
    except InvalidSettings as exc:
        refused = exc.problems
    assert {problem.where for problem in refused} <= {(setting.flag,)}
    assert setting.form.read(getattr(loaded, setting.name)) == getattr(loaded, setting.name)


@given(st.integers(1 << 10, 1 << 40), st.floats(0.05, 86400))
def test_sizes_and_durations_are_shown_as_they_are_read(size, seconds) -> None:
    """What is shown of a size is that size; of a duration, that duration to six digits."""
    forms = {setting.name: setting.form for setting in SETTINGS}
    assert forms["max_body_bytes"].read(forms["max_body_bytes"].show(size)) == size
    shown = forms["body_timeout"].show(seconds)
    assert forms["body_timeout"].read(shown) == pytest.approx(seconds, rel=1e-5)


def test_the_page_about_operation_is_up_to_date() -> None:
    """Its table of settings is the one that is made from them."""
    page = (Path(__file__).parent.parent / "docs" / "serving-settings.md").read_text()
    assert page.split("<!-- settings -->\n")[1].split("<!-- /settings -->")[0] == settings_table()
