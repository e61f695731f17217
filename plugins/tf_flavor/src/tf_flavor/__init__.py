"""The Keras and TensorFlow flavors of Palate: ``keras_models`` and ``saved_models`` hold the hooks of one each."""

from __future__ import annotations

__all__: list[str] = []
