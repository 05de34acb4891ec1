"""Case files are safetensors: eight bytes with the length of a JSON header, the header, the numbers."""

import json
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "I64": "<i8", "I32": "<i4"}


def read_case(path):
    """Returns the op, its attributes, and the `in.*` tensors by their name without `in.`."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        numbers = file.read()
    metadata = header.pop("__metadata__")
    inputs = {}
    for name, entry in header.items():
        if name.startswith("in."):
            begin, end = entry["data_offsets"]
            flat = np.frombuffer(numbers[begin:end], DTYPES[entry["dtype"]])
            inputs[name[3:]] = flat.reshape(entry["shape"])
    return metadata["op"], json.loads(metadata["attrs"]), inputs


def write_outputs(path, outputs):
    """Writes arrays as `out.*` tensors, in float32 (in float64 where the array is)."""
    header, parts, offset = {}, [], 0
    for name, array in outputs.items():
        dtype = "F64" if array.dtype == np.float64 else "F32"
        part = np.ascontiguousarray(array, DTYPES[dtype]).tobytes()
        header["out." + name] = {
            "dtype": dtype,
            "shape": array.shape,
            "data_offsets": [offset, offset + len(part)],
        }
        parts.append(part)
        offset += len(part)
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(parts))
