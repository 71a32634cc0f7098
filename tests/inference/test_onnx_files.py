"""Weights of an ONNX file outside of it, for which hostile files could name any file of the machine."""

import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lssed_hf.inference.classifiers.exported import OnnxNetwork, open_network
from lssed_hf.inference.classifiers.onnx_files import external_files
from lssed_hf.inference.classifiers.pretrained import pretrained_folder


onnx = pytest.importorskip("onnx")


def outside(location, **others):
    """Return a tensor "w" of four numbers in another file."""
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4], data_location=onnx.TensorProto.EXTERNAL, **others)
    tensor.external_data.add(key="location", value=location)
    return tensor


def adding(tensor):
    """Return a model that adds the tensor to its input."""
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Add", ["x", "w"], ["logits"])
    graph = onnx.helper.make_graph([node], "g", [value("x", 1, [4])], [value("logits", 1, [4])], [tensor])
    return onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 18)])


@pytest.fixture
def folder(tmp_path):
    """Return a folder with weights, with a file beside it that is none of its business, and with a link to that."""
    weights, folder = np.ones(4, np.float32).tobytes(), tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(weights)
    (folder / "weights.bin").write_bytes(weights)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    return folder


@pytest.mark.parametrize("place", ["../secret.bin", "{folder}/secret.bin", "link.bin"])
def test_weights_outside_of_the_folder_are_refused(place, folder):
    path = folder / "model.onnx"
    path.write_bytes(adding(outside(place.format(folder=folder.parent))).SerializeToString())
    with pytest.raises(ValueError, match=r"model\.onnx cannot be read, .*external weights '.*' lie outside"):
        open_network(path, "onnx")


def test_weights_in_the_folder_are_read(folder):
    path = folder / "model.onnx"
    path.write_bytes(adding(outside("weights.bin")).SerializeToString())
    np.testing.assert_array_equal(OnnxNetwork(path)({"x": np.zeros(4, np.float32)}), np.ones(4))


def test_blobs_of_the_hub_are_read(tmp_path):
    snapshot, blobs = tmp_path / "snapshots" / "0a1b", tmp_path / "blobs"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for path in pretrained_folder("encoder-small").iterdir():
        (snapshot / path.name).symlink_to(shutil.copy(path, blobs / str(abs(hash(path.name)))))
    assert external_files(snapshot / "model.onnx") == {"model.safetensors"}
    OnnxNetwork(snapshot / "model.onnx")


@settings(deadline=None)
@given(st.data())
def test_names_are_found_wherever_tensors_can_be(tmp_path_factory, data):
    """Put tensors into graphs in graphs, attributes, functions and sparse tensors."""
    names = []

    def tensor():
        names.append(data.draw(st.text(min_size=1, max_size=5)))
        kept = {"raw_data": data.draw(st.binary(max_size=9)), "doc_string": "location"}
        return outside(names[-1], **data.draw(st.sampled_from([{}, kept])))

    def attribute(depth):
        one = onnx.AttributeProto(name="a", f=0.5)
        one.tensors.append(tensor())
        one.t.CopyFrom(tensor())
        one.sparse_tensor.CopyFrom(sparse())
        one.sparse_tensors.append(sparse())
        if depth:
            one.g.CopyFrom(graph(depth - 1))
            one.graphs.append(graph(depth - 1))
        return one

    def sparse():
        return onnx.SparseTensorProto(values=tensor(), indices=tensor())

    def graph(depth):
        node = onnx.NodeProto(op_type="If", attribute=[attribute(depth)])
        return onnx.GraphProto(node=[node], initializer=[tensor()], sparse_initializer=[sparse()])

    depth = data.draw(st.integers(0, 2))
    function = onnx.FunctionProto(node=[onnx.NodeProto(attribute=[attribute(0)])], attribute_proto=[attribute(0)])
    training = onnx.TrainingInfoProto(initialization=graph(0), algorithm=graph(0))
    model = onnx.ModelProto(ir_version=10, graph=graph(depth), functions=[function], training_info=[training])
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(model.SerializeToString())
    assert external_files(path) == set(names)


@given(st.binary(min_size=1, max_size=200), st.integers(0, 200))
def test_damaged_files_have_names_or_are_refused(tmp_path_factory, noise, place):
    whole = adding(outside("weights.bin")).SerializeToString()
    for content in (noise, whole[: place % len(whole)] or b"\0", whole[:place] + noise + whole[place:]):
        path = tmp_path_factory.mktemp("onnx") / "model.onnx"
        path.write_bytes(content)
        try:
            assert external_files(path) is not None
        except ValueError as error:
            assert "damaged" in str(error)
