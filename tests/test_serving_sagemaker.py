"""What SageMaker asks of a container before a batch transform."""

from __future__ import annotations

import pytest

from palate.serving.protocols.sagemaker import execution_parameters

MIB = 2**20


def test_execution_parameters() -> None:
    """The answer has the three keys that a transform job takes, with bodies as large as the server reads them."""
    assert execution_parameters(concurrency=4, max_body_bytes=16 * MIB) == {
        "MaxConcurrentTransforms": 4,
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 16,
    }


@pytest.mark.parametrize("concurrency", [0, 1, 7, 1000])
@pytest.mark.parametrize("max_body_bytes", [1, MIB, 6 * MIB + 1, 64 * MIB, 2**40])
def test_the_limits_of_a_transform_job_hold(concurrency: int, max_body_bytes: int) -> None:
    """Neither the payload nor its product with the number of transforms exceeds 100 MB, and both are at least 1."""
    found = execution_parameters(concurrency=concurrency, max_body_bytes=max_body_bytes)
    assert 1 <= found["MaxPayloadInMB"] * found["MaxConcurrentTransforms"] <= 100
    assert found["MaxPayloadInMB"] <= max(max_body_bytes // MIB, 1)
