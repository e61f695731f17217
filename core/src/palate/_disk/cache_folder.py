"""Where the user's cache is, and whether it is his alone."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from palate.errors import InvalidOption

__all__ = ["check_private", "user_cache", "user_folder"]

_CACHE: Final = "PALATE_CACHE"


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of what Palate keeps for later: ``$PALATE_CACHE``, else a folder in the user's cache.

    Raises:
        InvalidOption: there is no home to have it in, or not the one that the variable names.
    """
    if own := environ.get(_CACHE):
        return _expand(own, _CACHE)
    return user_folder(environ, "XDG_CACHE_HOME", "~/.cache", instead=_CACHE)


def user_folder(environ: Mapping[str, str], shared: str, usual: str, *, instead: str) -> Path:
    """Return Palate's folder of one kind of the user's files.

    Args:
        environ: the variables.
        shared: the one that says where all programs have theirs.
        usual: where they are without it.
        instead: the one by which Palate's alone can be put elsewhere.

    Raises:
        InvalidOption: there is no home to have it in.
    """
    given = environ.get(shared, "")
    # The rules for these variables: a relative path counts as unset.
    root = Path(given) if os.path.isabs(given) else _expand(usual, instead)
    return root / "palate"


def _expand(path: str, variable: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as exc:
        reason = f"there is no home folder for {path!r:.100}"
        raise InvalidOption(variable, reason=reason, hint="set it to a folder of your own") from exc


def check_private(folder: Path) -> None:
    """Raise InvalidOption if others than the user may put anything into a part of the cache: it is relied on."""
    for place in (folder, folder.parent):
        try:
            status = os.stat(place)
        except OSError:
            continue
        foreign = place == folder and status.st_uid not in (os.geteuid(), 0)
        # In a parent with the sticky bit, such as /tmp, nobody can replace what is somebody else's.
        guarded = place != folder and status.st_mode & stat.S_ISVTX
        if foreign or (_others_write(status) and not guarded):
            reason = f"'{place}' belongs to, or can be written by, another user"
            raise InvalidOption(_CACHE, reason=reason, hint="set it to a folder of your own")


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWOTH:
        return True
    return bool(status.st_mode & stat.S_IWGRP) and not _is_own_group(status.st_gid)


def _is_own_group(number: int) -> bool:
    """Tell whether a group is the user's alone, as where each has one of his name, and new folders are its as well."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return user.pw_gid == number and group.gr_name == user.pw_name and set(group.gr_mem) <= {user.pw_name}
