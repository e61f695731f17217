"""How the tests of isolation load models, and send values."""

from __future__ import annotations

import json
from typing import Any

from palate import Isolation
from palate._isolation.wire import Reader, Writer

HERE = Isolation(environment="here", timeout=30.0)


def cross(value: object) -> Any:
    """Return what arrives on the other side."""
    writer = Writer()
    text = json.dumps(writer.encode(value))
    return Reader([memoryview(bytearray(buffer)) for buffer in writer.buffers]).decode(json.loads(text))
