"""Other machines than this one: what pip calls their wheels, what uv calls them, and what markers find there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from palate.errors import InvalidOption

__all__ = ["PLATFORMS", "Target", "find_targets"]

_LINUX: Final = ("x86_64", "aarch64", "armv7l", "ppc64le", "s390x", "riscv64")
PLATFORMS: Final = (
    *(f"linux-{machine}" for machine in _LINUX),
    "musllinux-x86_64",
    "musllinux-aarch64",
    "macos-arm64",
    "macos-x86_64",
    "windows-x86_64",
)
"""The short names of platforms; a tag of wheels, such as ``manylinux_2_34_aarch64``, says it more exactly."""

_HINT: Final = f"give one of {', '.join(PLATFORMS)}, or a tag such as manylinux2014_aarch64"
_SYSTEMS: Final = {"darwin": "macos", "win": "windows"}
_MACHINES: Final = {"arm64": "aarch64", "amd64": "x86_64", "x64": "x86_64", "armv7": "armv7l"}
# What a short name stands for: the C library of Debian 10 and RHEL 8, or newer; of Alpine 3.19; macOS 13.
_USUAL: Final = {"linux": 28, "musllinux": 2, "macos": 13, "windows": 0}
_TAG: Final = re.compile(
    r"(?:manylinux_2_(?P<linux>\d{1,2})|(?P<old>manylinux20(?:10|14))|musllinux_1_(?P<musllinux>\d)"
    r"|macosx_(?P<macos>1[1-9]|2\d)_\d+|(?P<usual>linux|win))_(?P<machine>[a-z0-9]+(?:_64)?)"
)
_OLD: Final = {"manylinux2014": 17, "manylinux2010": 12}
_OLD_NAMES: Final = {17: ("manylinux2014",), 12: ("manylinux2010",)}
_UV_GLIBC: Final = frozenset({17, 28, *range(31, 41)})

_MARKED: Final = {
    "linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "musllinux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macos": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
_OWN_WORDS: Final = {("macos", "aarch64"): "arm64", ("windows", "x86_64"): "AMD64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A kind of machine.

    Attributes:
        system: "linux", "musllinux", "macos" or "windows".
        machine: such as "aarch64".
        level: the version of the C library or of macOS that is there, by its last part.
    """

    system: str
    machine: str
    level: int

    @property
    def short_name(self) -> str:
        """What PLATFORMS calls it, if it is one of them."""
        return f"{self.system}-{self.word if self.system == 'macos' else self.machine}"

    @property
    def word(self) -> str:
        """What markers call the machine."""
        return _OWN_WORDS.get((self.system, self.machine), self.machine)

    @property
    def tags(self) -> tuple[str, ...]:
        """The platform tags of wheels that run there, the best first."""
        match self.system:
            case "linux":
                stems = [
                    stem
                    for minor in range(self.level, 4, -1)
                    for stem in (f"manylinux_2_{minor}", *_OLD_NAMES.get(minor, ()))
                ]
                return tuple(f"{stem}_{self.machine}" for stem in (*stems, "linux"))
            case "musllinux":
                return tuple(f"musllinux_1_{minor}_{self.machine}" for minor in range(self.level, -1, -1))
            case "macos":
                old = [f"10_{minor}" for minor in range(16, 8, -1)] if self.machine == "x86_64" else []
                versions = [*(f"{major}_0" for major in range(self.level, 10, -1)), *old]
                return tuple(f"macosx_{version}_{part}" for version in versions for part in (self.word, "universal2"))
            case _:
                return ("win_amd64",)

    @property
    def uv(self) -> str | None:
        """What uv calls it; None where it has no word for it."""
        if self.machine not in ("x86_64", "aarch64"):
            return None
        if self.system == "linux":
            known = max((minor for minor in _UV_GLIBC if minor <= self.level), default=None)
            return None if known is None else f"{self.machine}-manylinux_2_{known}"
        names = {"musllinux": "unknown-linux-musl", "macos": "apple-darwin", "windows": "pc-windows-msvc"}
        return f"{self.machine}-{names[self.system]}"

    def markers(self, python: str) -> dict[str, str]:
        """Return what markers find there under a version of Python."""
        numbers = re.findall(r"\d+", python)
        full = ".".join([*numbers, "0"][:3])
        return {
            **_MARKED[self.system],
            "platform_machine": self.word,
            "python_version": ".".join(numbers[:2]),
            "python_full_version": full,
            "implementation_name": "cpython",
            "implementation_version": full,
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_version": "",
        }


def find_targets(names: Iterable[str]) -> tuple[Target, ...]:
    """Return the machines that short names and tags mean; of several tags for one, that of the newest counts.

    Raises:
        InvalidOption: a name means none.
    """
    if isinstance(names, str):
        raise InvalidOption("platforms", reason="it is one text", hint="give a list of names")
    found: dict[tuple[str, str], Target] = {}
    for name in names:
        target = _read(name)
        kind = (target.system, target.machine)
        if kind not in found or found[kind].level < target.level:
            found[kind] = target
    return tuple(found.values())


def _read(name: object) -> Target:
    text = str(name).lower().replace("/", "-")
    system, _, machine = text.partition("-")
    system, machine = _SYSTEMS.get(system, system), _MACHINES.get(machine, machine)
    target = Target(system=system, machine=machine, level=_USUAL.get(system, 0))
    if target.short_name not in PLATFORMS:
        tag = _TAG.fullmatch(text)
        target = _of_tag(tag) if tag else target
    # Of other machines nobody here knows what markers call them.
    if target.short_name not in PLATFORMS:
        raise InvalidOption("platforms", reason=f"{text!r:.60} is none that is known", hint=_HINT)
    return target


def _of_tag(tag: re.Match[str]) -> Target:
    machine = _MACHINES.get(tag["machine"], tag["machine"])
    if tag["old"]:
        return Target(system="linux", machine=machine, level=_OLD[tag["old"]])
    if tag["usual"]:
        system = _SYSTEMS.get(tag["usual"], tag["usual"])
        return Target(system=system, machine=machine, level=_USUAL[system])
    system = next(name for name in ("linux", "musllinux", "macos") if tag[name])
    return Target(system=system, machine=machine, level=int(tag[system]))
