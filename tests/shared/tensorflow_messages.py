"""Reads TensorFlow Serving's JSON from stdin into its own messages and prints what they hold; needs tensorflow."""

from __future__ import annotations

import json
import sys

from google.protobuf import json_format
from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse
from tensorflow_serving.apis.model_pb2 import ModelSpec

document = json.load(sys.stdin)
status = json_format.ParseDict(document["status"], GetModelStatusResponse())
spec = json_format.ParseDict(document["metadata"]["model_spec"], ModelSpec())
# In TensorFlow Serving's JSON the field of the type Any stands unpacked, as its message.
definitions = json_format.ParseDict(document["metadata"]["metadata"]["signature_def"], SignatureDefMap())
default = definitions.signature_def["serving_default"]
found = {
    "states": [[version.version, version.state] for version in status.model_version_status],
    "spec": [spec.name, spec.version.value],
    "inputs": {
        name: [info.dtype, [dim.size for dim in info.tensor_shape.dim]] for name, info in default.inputs.items()
    },
}
print(json.dumps(found))
