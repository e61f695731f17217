"""Models over HTTP: the REST API that a signature writes by itself. Needs ``pip install palate[serve]``."""

from palate.serving._app import Application, Servable, create_app
from palate.serving._contract import ModelContract
from palate.serving._directory import read_contract, url_name
from palate.serving._openapi.document import openapi_document
from palate.serving._running import serve
from palate.serving.settings import InvalidSettings, ServingSettings, load_settings

__all__ = [
    "Application",
    "InvalidSettings",
    "ModelContract",
    "Servable",
    "ServingSettings",
    "create_app",
    "load_settings",
    "openapi_document",
    "read_contract",
    "serve",
    "url_name",
]
