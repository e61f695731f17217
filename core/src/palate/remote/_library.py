"""The library that reaches servers: loaded when it is needed, told how long to wait, kept to one process."""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, unquote, urlsplit

from palate.errors import DependencyMissing, RemoteFailed

if TYPE_CHECKING:
    from obstore.store import ClientConfig, HTTPStore, RetryConfig, S3CredentialProvider, S3Store

__all__ = ["PATIENCE", "claim_library", "is_loopback", "open_bucket", "open_site"]

PATIENCE: Final = 60.0  # at 8 MiB a part, an upload needs about 3 Mbit/s

_CONNECT_SECONDS: Final = 5.0
_RETRIES: Final = 3
_ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")  # the order in which obstore takes them
_PROFILE: Final = "AWS_PROFILE"

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
            "obstore", needed_for=f"Reaching {uri.partition(':')[0]}: addresses", install="palate[remote]"
        ) from exc
    if _user not in (None, os.getpid()):
        raise RemoteFailed(
            uri,
            doing="reach",
            reason="this process was forked from one that has reached other machines, and cannot do so itself",
            hint="start processes by 'spawn' or 'forkserver', or fetch what they need before",
        )
    _user = os.getpid()


def open_bucket(bucket: str, prefix: str, *, uri: str, patience: float) -> S3Store:
    """Open a bucket with the credentials, region and endpoint that the environment names; asks nobody yet.

    Raises:
        DependencyMissing: obstore is not installed, or AWS_PROFILE is set and boto3 is not.
        RemoteFailed: there is no such profile, or no credentials in it; or see ``claim_library``.
    """
    claim_library(uri)
    from obstore.store import S3Store

    return S3Store(
        bucket,
        prefix=prefix or None,
        client_options=_client(patience, open_http=_is_loopback_url(_endpoint(os.environ))),
        retry_config=_retries(patience),
        credential_provider=_profile(uri) if os.environ.get(_PROFILE) else None,
    )


def open_site(parts: SplitResult, *, uri: str, patience: float) -> HTTPStore:
    """Open an address as a store whose one object, named "", it is."""
    claim_library(uri)
    from obstore.store import HTTPStore

    options = _client(patience, open_http=parts.scheme == "http")
    if parts.username is not None:
        # The library passes over these in silence.
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        options["default_headers"] = {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="")
    return HTTPStore(bare.geturl(), client_options=options, retry_config=_retries(patience))


def is_loopback(host: str | None) -> bool:
    """Whether a host is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _client(patience: float, *, open_http: bool) -> ClientConfig:
    options: ClientConfig = {
        "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, patience)),
        "read_timeout": timedelta(seconds=patience),
        "timeout": timedelta(days=7),  # the whole of a file may take long, as long as it goes on
    }
    if open_http:  # otherwise AWS_ALLOW_HTTP decides
        options["allow_http"] = True
    return options


def _retries(patience: float) -> RetryConfig:
    return {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=patience)}


def _endpoint(environment: Mapping[str, str]) -> str:
    return next((environment[name] for name in _ENDPOINTS if environment.get(name)), "")


def _is_loopback_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme == "http" and is_loopback(parts.hostname)
    except ValueError:
        return False


def _profile(uri: str) -> S3CredentialProvider:
    """Return what reads the profile that AWS_PROFILE names: obstore itself reads no files of AWS's tools."""
    try:
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError as exc:
        raise DependencyMissing("boto3", needed_for=f"{_PROFILE}, which names a profile in ~/.aws,") from exc
    try:
        return Boto3CredentialProvider()
    except Exception as exc:  # botocore's own kinds, of which there are many
        raise RemoteFailed(
            uri,
            doing="find credentials for",
            reason=str(exc).rstrip("."),
            hint=f"name a profile that 'aws configure list-profiles' shows in {_PROFILE}, or unset it and set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ) from exc
