"""The library that reaches servers: loaded when it is needed, told how long to wait, kept to one process."""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from palate.errors import DependencyMissing, RemoteFailed
from palate.remote._failures import Addressee, reported

if TYPE_CHECKING:
    from obstore.store import ClientConfig, HTTPStore, RetryConfig, S3CredentialProvider, S3Store

__all__ = ["PATIENCE", "claim_library", "is_loopback", "open_bucket", "open_site"]

PATIENCE: Final = 60.0  # at 8 MiB a part, an upload needs about 3 Mbit/s

_CONNECT_SECONDS: Final = 5.0
_RETRIES: Final = 3
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]+")
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")  # the order in which obstore takes them
_SECRETS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_TOKEN")
_PROFILE: Final = "AWS_PROFILE"
_ALLOW_HTTP: Final = "AWS_ALLOW_HTTP"

_user: int | None = None


def claim_library(uri: str) -> None:
    """Load the library for this process.

    Raises:
        DependencyMissing: it is not installed.
        RemoteFailed: this process was forked from one that has used it. Its threads did not come along, so that the
            first request would wait for ever.
    """
    global _user
    try:
        import obstore  # noqa: F401
    except ImportError as exc:
        raise DependencyMissing(
            "obstore", needed_for=f"Reaching {uri.partition(':')[0]}: addresses", install="'palate[remote]'"
        ) from exc
    if _user not in (None, os.getpid()):
        raise RemoteFailed(
            uri,
            doing="reach",
            reason="this process was forked from one that has reached other machines, and cannot do so itself",
            hint="start processes by 'spawn' or 'forkserver', or fetch what they need before",
        )
    _user = os.getpid()


def open_bucket(bucket: str, prefix: str, whom: Addressee) -> S3Store:
    """Open a bucket with the credentials, region and endpoint that the environment names; asks nobody yet.

    Raises:
        DependencyMissing: obstore is not installed, or AWS_PROFILE is set and boto3 is not.
        RemoteFailed: one of the variables is not what it should be; or see ``claim_library``.
    """
    claim_library(whom.uri)
    from obstore.store import S3Store

    _check_environment(os.environ, whom)
    provider = _profile(whom) if os.environ.get(_PROFILE) else None
    with reported(whom, "open"):
        return S3Store(
            bucket,
            prefix=prefix or None,
            conditional_put="etag",  # whatever the environment says
            client_options=_client(whom, open_http=_may_be_open(os.environ)),
            retry_config=_retries(whom),
            credential_provider=provider,
        )


def open_site(parts: SplitResult, whom: Addressee) -> HTTPStore:
    """Open an address as a store whose one object, named "", it is; asks nobody yet."""
    claim_library(whom.uri)
    from obstore.store import HTTPStore

    options = _client(whom, open_http=parts.scheme == "http")
    if parts.username is not None:
        # The library passes over these in silence.
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        options["default_headers"] = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    with reported(whom, "open"):
        return HTTPStore(bare.geturl(), client_options=options, retry_config=_retries(whom))


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _client(whom: Addressee, *, open_http: bool) -> ClientConfig:
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, whom.patience)),
        "read_timeout": timedelta(seconds=whom.patience),
        "timeout": timedelta(days=7),  # the whole of a file may take long, as long as it goes on
    }
    if open_http:
        options["allow_http"] = True
    return options


def _retries(whom: Addressee) -> RetryConfig:
    return {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=whom.patience)}


def _check_environment(environment: Mapping[str, str], whom: Addressee) -> None:
    """Refuse what the library does not look at before it puts it into a request, and then panics."""
    for name in _SECRETS:
        value = environment.get(name, "")
        if not (value.isascii() and value.isprintable()):
            reason = f"{name} holds a character that is in no key, such as a line's end"
            raise whom.failed("open", reason=reason, hint=f"set {name} to the key and nothing else")
    for name in _ENDPOINTS:
        value = environment.get(name, "")
        if value and not _is_endpoint(value):
            reason = f"{name} is not the address of a server"
            raise whom.failed("open", reason=reason, hint="set it to one such as https://host:9000, or unset it")


def _is_endpoint(value: str) -> bool:
    try:
        parts = urlsplit(value)
        return parts.scheme in ("https", "http") and bool(_HOST.fullmatch(parts.hostname or "")) and parts.port != 0
    except ValueError:
        return False


def _may_be_open(environment: Mapping[str, str]) -> bool:
    """Whether the endpoint may do without TLS: it is on this machine, or AWS_ALLOW_HTTP says so."""
    # The library reads the variable only where it is given no options.
    if environment.get(_ALLOW_HTTP, "").lower() in ("1", "true", "yes", "on"):
        return True
    endpoint = next((environment[name] for name in _ENDPOINTS if environment.get(name)), "")
    return is_loopback(urlsplit(endpoint).hostname)


def _profile(whom: Addressee) -> S3CredentialProvider:
    """Return what reads the profile that AWS_PROFILE names: obstore itself reads no files of AWS's tools."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as exc:
        raise DependencyMissing("boto3", needed_for=f"{_PROFILE}, which names a profile in ~/.aws,") from exc
    try:
        return Boto3CredentialProvider()
    except Exception as exc:  # botocore's own kinds, of which there are many
        raise whom.failed(
            "find credentials for",
            reason=str(exc).rstrip("."),
            hint=f"name a profile that 'aws configure list-profiles' shows in {_PROFILE}, or unset it and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from exc
