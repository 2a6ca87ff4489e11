"""Makes the CPU model of a bundle: OpenVINO IR from the FP32 ONNX, in one of three precisions.

What: `fp32` as it is, `fp16` with weights stored in FP16 (half the file, FP32 arithmetic), `int8`
with weights and activations quantised by NNCF after calibration on real sentences.
Why a choice: INT8 is two to three times as fast, but only the parity report of a trained model
says whether it may be used. Batch and tokens stay dynamic in all three.
Not: it does not verify; see verify.py.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from hanjaserve.build.export import INPUT, OUTPUT
from hanjaserve.server.errors import BuildError
from hanjaserve.server.shapes import Int32

if TYPE_CHECKING:
    from collections.abc import Iterator

CpuPrecision = Literal["fp32", "fp16", "int8"]
CPU_PRECISIONS: tuple[str, ...] = get_args(CpuPrecision)

_CALIBRATION_WINDOWS = 300


def export_cpu(
    source: Path,
    target: Path,
    precision: CpuPrecision,
    calibration: Sequence[Int32] = (),
) -> None:
    """Writes the OpenVINO model of the FP32 ONNX file `source`.

    Args:
        source: from export_fp32.
        target: the .xml file; the .bin with the weights is written beside it.
        precision: how weights are stored, and for int8 how matrices are multiplied.
        calibration: token rows int32 [tokens] that int8 is calibrated with; at least 32.

    Raises:
        BuildError: the conversion fails, a shape became static, or int8 has too few rows.
    """
    import openvino as ov

    try:
        with _root_log_level_kept():
            model = ov.convert_model(str(source))
    except Exception as error:  # openvino raises RuntimeError and types of its front ends
        raise BuildError(f"OpenVINO cannot convert {source.name}: {error}") from error
    if precision == "int8":
        model = _quantised(model, calibration)
    _forget_conversion(model)
    _check_shapes(model)
    ov.save_model(model, str(target), compress_to_fp16=precision != "fp32")


def _quantised(model: Any, calibration: Sequence[Int32]) -> Any:
    if len(calibration) < 32:
        raise BuildError(
            f"int8 is calibrated on real sentences, at least 32 windows of them, but got "
            f"{len(calibration)}: give a file with one sentence per line by --sentences FILE"
        )
    with _quiet():
        import nncf

        rows = [{INPUT: row[None, :]} for row in calibration[:_CALIBRATION_WINDOWS]]
        return nncf.quantize(
            model,
            nncf.Dataset(rows),
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(rows),
            # A depthwise convolution has next to no products, and a size that differs with every text.
            ignored_scope=nncf.IgnoredScope(types=["GroupConvolution"], validate=False),
        )


def _check_shapes(model: Any) -> None:
    for port, name in ((model.input(0), INPUT), (model.output(0), OUTPUT)):
        shape = port.partial_shape
        if name not in port.names or not (shape[0].is_dynamic and shape[1].is_dynamic):
            raise BuildError(
                f"the CPU model has {sorted(port.names)} of shape {shape}, but needs {name!r} with "
                "dynamic batch and tokens"
            )


def _forget_conversion(model: Any) -> None:
    """Drops what would make equal models differ: conversion notes and names from a counter."""
    for key in list(model.get_rt_info()):
        del model.rt_info[key]
    for number, operation in enumerate(model.get_ordered_ops()):
        operation.set_friendly_name(f"{operation.get_type_name()}_{number}")
        for port in operation.outputs():
            port.get_tensor().set_names(set())
    model.input(0).get_tensor().set_names({INPUT})
    model.output(0).get_tensor().set_names({OUTPUT})


@contextmanager
def _root_log_level_kept() -> Iterator[None]:
    """OpenVINO's converter silences every logger below ERROR for good when it fails; undo that."""
    level = logging.getLogger().level
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps NNCF's progress reports out of the command's own output."""
    log = logging.getLogger("nncf")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)
