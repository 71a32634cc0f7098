"""Graphs of ONNX beside the weights of a model, for predictions without torch and transformers.

The graph holds no weights. Its initializers point into `model.safetensors`, by offset and length.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..files import replacing
from ..inference.classifiers.exported import open_network
from ..inference.classifiers.graph import GRAPH, SETTINGS, WEIGHTS
from ..inference.classifiers.loading import load_classifier
from ..inference.classifiers.statistics import StatisticsClassifier
from .export import ExportError, NetworkOutputs, check_parity, export_program, open_source


#: Type in a file of safetensors -> type of ONNX, by its name in `TensorProto`.
_TYPES = {"F32": "FLOAT", "F16": "FLOAT16", "I8": "INT8", "I64": "INT64"}
_LARGEST = 2**16  # bytes of a constant that is no weight


def write_graph(folder: Path) -> None:
    """Write `model.onnx` into the folder of a saved model, whose weights stay where they are.

    Its outputs are `embeddings` (batch, size) and `logits` (batch, num_labels). Its metadata hold the settings of
    `ExportSettings`, and digests for statistics of speakers.

    Args:
        folder: Folder of an audio classifier of this package with `model.safetensors`.

    Raises:
        ExportError: The network cannot be exported, or gives other logits than PyTorch.
    """
    import onnx

    folder = Path(folder)
    source = open_source(folder, trust_remote_code=False)
    network = NetworkOutputs(source.model, source.inputs[0], embeddings=True)
    # The exporter's own optimisations would change weights. The runtime makes them when it opens the file.
    model = export_program(source, network, ["embeddings", "logits"], optimize=False).model_proto
    _point_to_weights(model, folder / WEIGHTS)
    for node in model.graph.node:
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.value_info[:]
    with replacing(folder / GRAPH) as partial:
        onnx.save(model, partial)
        settings, _ = check_parity(source, open_network(partial, "onnx"), "onnx")
        facts = {
            "inputs": settings.inputs,
            "min_length": settings.min_length,
            "by_length": settings.by_length,
            **_digests(folder),
        }
        model.metadata_props.add(key=SETTINGS, value=json.dumps(facts))
        onnx.save(model, partial)


def _digests(folder: Path) -> dict[str, Any]:
    classifier = load_classifier(folder, device="cpu", engine="torch")
    return {"front_end": classifier.front_end} if isinstance(classifier, StatisticsClassifier) else {}


def _point_to_weights(model: Any, weights: Path) -> None:
    """Replace the initializers that are weights by references into a file of safetensors."""
    from onnx import TensorProto, helper, numpy_helper

    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
    content = np.memmap(weights, np.uint8, "r")
    casts = []
    for tensor in model.graph.initializer:
        entry = header.get(tensor.name.removeprefix("model."))
        values = numpy_helper.to_array(tensor)
        if entry is None:
            if values.nbytes > _LARGEST:
                raise ExportError(f"{weights}: the graph's {tensor.name} is none of the weights")
            continue
        kind = getattr(TensorProto, _TYPES[entry["dtype"]])
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        stored = content[start:end].view(helper.tensor_dtype_to_np_dtype(kind)).reshape(entry["shape"])
        if not np.array_equal(stored.astype(values.dtype), values):
            raise ExportError(f"{weights}: the graph has other values of {tensor.name}")
        name = tensor.name
        if kind != tensor.data_type:
            casts.append(helper.make_node("Cast", [f"{name}.stored"], [name], to=tensor.data_type))
            name = f"{name}.stored"
        tensor.Clear()
        tensor.name, tensor.data_type, tensor.data_location = name, kind, TensorProto.EXTERNAL
        tensor.dims.extend(entry["shape"])
        for key, value in {"location": weights.name, "offset": start, "length": end - start}.items():
            tensor.external_data.add(key=key, value=str(value))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


__all__ = ["write_graph"]
