"""From what a caller asks for to a plan: which Python, which installer, which sources, what may be installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final

from palate._disk.replaced import read_one_model
from palate._environment.declared import Declaration, read_declaration
from palate._environment.lock import LOCK_FILE, WHEELS_FOLDER, Lock, read_pylock
from palate._opening import OpenedModel, open_model
from palate._rebuilding.installers import Sources, choose_installer, find_uv
from palate._rebuilding.interpreters import find_interpreter
from palate._rebuilding.palates import find_palates
from palate._rebuilding.plans import Plan, check_lock
from palate._rebuilding.policy import refuse_untrusted
from palate._rebuilding.repacking import pack_distribution
from palate._rebuilding.wanted import Wanted, read_wanted
from palate.errors import InvalidOption

__all__ = ["Asked", "choose_lock", "choose_sources", "make_plan", "open_wanted", "palate_extras"]

_WHEELS_ONLY: Final = "only wheels are installed, unless trust=True (CLI: --trust) allows to build packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a caller asks for; see ``create_environment``."""

    python: str | PathLike[str] | None
    installer: str
    locked: bool | None
    trust: bool
    extra_requirements: Sequence[str] | str | PathLike[str]
    index_url: str | None
    extra_index_urls: Sequence[str]
    use_recorded_index: bool
    offline: bool
    bundle: Path | None

    def extra(self) -> Declaration:
        """Read the further requirements."""
        return read_declaration(self.extra_requirements) if self.extra_requirements else Declaration()


def open_wanted(uri: str | PathLike[str]) -> tuple[OpenedModel, Wanted]:
    """Open the model at *uri* as far as its environment goes; whatever runs it checks its other files."""

    def read() -> tuple[OpenedModel, Wanted]:
        opened = open_model(uri, document_only=True)
        return opened, read_wanted(opened)

    return read_one_model(uri, read, is_whole=lambda _: False)


def choose_sources(wanted: Wanted, asked: Asked, extra: Declaration) -> Sources:
    """Return where packages come from: the caller's word first, the model's only if the caller says so."""
    if isinstance(asked.extra_index_urls, str):
        raise InvalidOption("extra_index_urls", reason="it is one text", hint="give a list of addresses")
    options = [extra.index_options, *([wanted.index_options] if asked.use_recorded_index else [])]
    named = [asked.index_url, *(option.index_url for option in options)]
    more = [*asked.extra_index_urls, *(url for option in options for url in option.extra_index_urls)]
    links = [place for option in options for place in option.find_links]
    return Sources(
        index_url=next((url for url in named if url is not None), None),
        extra_index_urls=tuple(dict.fromkeys(more)),
        find_links=tuple(dict.fromkeys(links)),
        offline=asked.offline,
    )


def make_plan(wanted: Wanted, asked: Asked) -> Plan:
    """Decide what will be installed, and refuse what may not be.

    Raises:
        TrustRequired, FlavorNotFound, PythonNotFound, InvalidOption, InvalidRequirement, EnvironmentFailed
    """
    if not isinstance(asked.trust, bool):
        reason = f"it is {type(asked.trust).__name__}, not True or False"
        raise InvalidOption("trust", reason=reason, hint="pass trust=True only for models whose source you trust")
    palates, extra = find_palates(wanted), asked.extra()
    if not asked.trust:
        refuse_untrusted(wanted, palates.distributions)
    lock = choose_lock(wanted, asked.locked)
    sources = choose_sources(wanted, asked, extra)
    if asked.bundle is not None:
        lock = _bundled_lock(asked.bundle)
        sources = Sources(find_links=(str(asked.bundle / WHEELS_FOLDER),), no_index=True, offline=True)
    uv = find_uv() if asked.installer in ("auto", "uv") else None
    tool = choose_installer(asked.installer, uv)
    interpreter = find_interpreter(wanted.python, asked=asked.python, uv=uv)
    if lock is not None:
        check_lock(lock, interpreter)
    return Plan(
        wanted=wanted,
        interpreter=interpreter,
        installer=tool,
        packed=() if asked.bundle else tuple(map(pack_distribution, palates.distributions)),
        extras=palate_extras(wanted),
        missing=palates.missing,
        extra=extra,
        lock=lock,
        is_bundle=asked.bundle is not None,
        sources=sources,
        builds=asked.trust,
        hint="" if asked.trust else _WHEELS_ONLY,
    )


def palate_extras(wanted: Wanted) -> tuple[str, ...]:
    """Return the extras of Palate's that the model needs."""
    return ("pandas",) if wanted.takes_tables else ()


def choose_lock(wanted: Wanted, locked: bool | None) -> Lock | None:
    """Return the model's lock, unless the caller does without."""
    if locked and wanted.lock is None:
        reason = f"the model has no {LOCK_FILE}"
        raise InvalidOption("locked", reason=reason, hint="save it from a project with a lock, or make a bundle of it")
    return None if locked is False else wanted.lock


def _bundled_lock(bundle: Path) -> Lock:
    try:
        return read_pylock((bundle / LOCK_FILE).read_bytes())
    except OSError as exc:
        reason = f"'{bundle}' is no bundle ({exc.strerror or exc})"
        raise InvalidOption("bundle", reason=reason, hint="give a folder that 'palate env bundle' made") from exc
