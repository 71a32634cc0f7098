"""Static quantisation to 8 bits after training, with the ranges of activations from real clips."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np


# OpenVINO's layers that average over the frames of a clip: in 8 bits, their number of frames would be wrong.
_COUNTING = ["ReduceSum", "Maximum", "Minimum", "Clamp", "Divide"]


def quantize_onnx(path: Path, calibration: Sequence[dict[str, np.ndarray]]) -> None:
    """Replace an ONNX file by its quantised version (QDQ, weights per channel).

    Args:
        path: Path of the file.
        calibration: Inputs by name, one clip each.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.clips = iter(calibration)

        def get_next(self):
            return next(self.clips, None)

    prepared, quantized = path.with_name("prepared.onnx"), path.with_name("quantized.onnx")
    with errors_only(logging.getLogger()):
        quant_pre_process(path, prepared, skip_symbolic_shape=True)  # torch's exporter has noted the shapes
        quantize_static(
            prepared,
            quantized,
            Reader(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # 7 bits for weights: sums of 8 by 8 bits overflow on processors without VNNI, and scores with them.
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    prepared.unlink()
    os.replace(quantized, path)


def quantize_openvino(path: Path, calibration: Sequence[dict[str, np.ndarray]]) -> None:
    """Replace an OpenVINO network (.xml and .bin) by its quantised version.

    Args:
        path: Path of the .xml file.
        calibration: Inputs by name, one clip each.
    """
    os.environ.setdefault("NNCF_CI", "1")  # or it reports its use over the network
    import nncf
    import openvino

    model = openvino.Core().read_model(path)
    with errors_only(logging.getLogger("nncf")):
        quantized = nncf.quantize(
            model,
            nncf.Dataset(calibration),
            subset_size=len(calibration),
            preset=nncf.QuantizationPreset.MIXED,
            ignored_scope=nncf.IgnoredScope(types=_COUNTING, validate=False),
            # Weights of 7 bits, as above.
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
        )
    new = path.with_name("quantized.xml")
    openvino.save_model(quantized, new, compress_to_fp16=False)
    del model  # it maps the file that is replaced
    os.replace(new.with_suffix(".bin"), path.with_suffix(".bin"))
    os.replace(new, path)


@contextlib.contextmanager
def errors_only(logger: logging.Logger) -> Iterator[None]:
    """Silence the warnings of a library."""
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
