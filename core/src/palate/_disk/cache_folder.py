"""Where the user's cache is, and whether it is his alone."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path

from palate.errors import InvalidOption

__all__ = ["check_private", "user_cache"]


def user_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of what Palate keeps for later: ``$PALATE_CACHE``, else a folder in the user's cache.

    Raises:
        InvalidOption: the variable names the home of a user whom nobody knows.
    """
    if own := environ.get("PALATE_CACHE"):
        try:
            return Path(own).expanduser().absolute()
        except RuntimeError as exc:
            reason = f"it is {own!r:.100}, and there is no such user here"
            raise InvalidOption("PALATE_CACHE", reason=reason, hint="set it to a folder of your own") from exc
    shared = environ.get("XDG_CACHE_HOME", "")
    # The rules for that variable: a relative path counts as unset.
    root = Path(shared) if os.path.isabs(shared) else Path("~/.cache").expanduser()
    return root / "palate"


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
            raise InvalidOption("PALATE_CACHE", reason=reason, hint="set it to a folder of your own")


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
