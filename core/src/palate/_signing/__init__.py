"""Signatures of models, as OpenSSF Model Signing (OMS) v1.0 has them: its ``key`` method, file by file."""
