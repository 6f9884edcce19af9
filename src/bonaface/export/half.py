"""Weights in half precision: a network file of half the size, computed in single precision as before."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bonaface.core.errors import ModelFileError
from bonaface.core.files import whole_file

_LARGEST = float(np.finfo(np.float16).max)


def halve_weights(source: Path, path: Path, least: int = 1024) -> int:
    """Write the ONNX network of `source` to `path` with its large weights in float16.

    Each such weight is followed by a cast to float32, which onnxruntime does once, when it loads the file: the network
    computes in float32, with weights rounded to 11 bits.

    Args:
        source: a network without external data.
        path: where it is written, whole or not at all.
        least: tensors with fewer values stay as they are. What rounding does to a score grows with every layer that
            follows, and the last layers are the largest.

    Returns:
        How many tensors were rounded.

    Raises:
        ModelFileError: a weight does not fit into float16.
    """
    model = onnx.load(source, load_external_data=False)
    graph, casts = model.graph, []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor) if tensor.data_type == TensorProto.FLOAT else np.empty(0)
        if values.size < max(least, 1):
            continue
        if np.abs(values).max() > _LARGEST:
            raise ModelFileError(
                f"{source}: the weight {tensor.name} reaches {np.abs(values).max():g}, more than float16 holds; "
                "keep the network in float32"
            )
        name, half = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], f"{name}_cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    with whole_file(path) as part:
        onnx.save(model, part)
    return len(casts)
