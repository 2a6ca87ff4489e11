"""Between tensors of BYTES and texts; nothing but translation and checks."""

import math
from collections.abc import Collection, Mapping, Sequence

from hanjaserve.kserve import inference_pb2 as pb
from hanjaserve.server.errors import BadOption, BatchTooLarge, InvalidText
from hanjaserve.server.options import DEFAULT_STYLE, Options, Rendering

INPUT, OUTPUT, DATATYPE = "TEXT", "CONVERTED", "BYTES"
SIZE_BYTES = 4
IGNORED = ("priority", "triton_enable_empty_final_response")
"""Parameters that clients send by themselves and that have no meaning here."""


def texts_from(request: pb.ModelInferRequest, max_items: int) -> list[str]:
    """The texts of a request.

    Raises:
        BadOption: The tensors are not what the model takes; names the field.
        BatchTooLarge: There are too many elements.
        InvalidText: An element is not UTF-8.
    """
    if len(request.inputs) != 1 or request.inputs[0].name != INPUT:
        names = ", ".join(tensor.name for tensor in request.inputs) or "none"
        raise BadOption("inputs", f"the inputs are {names[:64]}: send exactly one, {INPUT}")
    tensor = request.inputs[0]
    if tensor.datatype != DATATYPE:
        raise BadOption("inputs.datatype", f"{INPUT} is of {tensor.datatype[:32]!r}: send {DATATYPE}")
    if tensor.parameters:
        raise BadOption("inputs.parameters", f"{INPUT} has parameters: shared memory is not supported")
    if any(wanted.name != OUTPUT or wanted.parameters for wanted in request.outputs):
        raise BadOption("outputs", f"the model has one output, {OUTPUT}, without parameters: ask for that")
    elements = _elements(request, tensor)
    if len(elements) > max_items:
        raise BatchTooLarge(f"{INPUT} has {len(elements)} elements, the limit is {max_items}: send fewer")
    if any(size < 0 for size in tensor.shape) or math.prod(tensor.shape) != len(elements):
        shape = list(tensor.shape)[:8]
        raise BadOption(
            "inputs.shape", f"the shape {shape} does not hold the {len(elements)} elements that came"
        )
    return [_text(number, element) for number, element in enumerate(elements)]


def _elements(
    request: pb.ModelInferRequest, tensor: pb.ModelInferRequest.InferInputTensor
) -> Sequence[bytes]:
    if not request.raw_input_contents:
        return tensor.contents.bytes_contents
    if len(request.raw_input_contents) != 1 or tensor.contents.bytes_contents:
        raise BadOption("raw_input_contents", "send the elements in contents or in raw_input_contents, once")
    return split(request.raw_input_contents[0])


def split(raw: bytes) -> list[bytes]:
    """Elements of a raw tensor: each its length, four bytes, little-endian, and its bytes.

    Raises:
        BadOption: They go beyond the end.
    """
    elements: list[bytes] = []
    start = 0
    while start < len(raw):
        begin = start + SIZE_BYTES
        end = begin + int.from_bytes(raw[start:begin], "little")
        if end > len(raw) or begin > len(raw):
            raise BadOption(
                "raw_input_contents",
                f"element {len(elements)} ends at byte {end} of {len(raw)}: put four bytes of length, "
                "little-endian, before each",
            )
        elements.append(raw[begin:end])
        start = end
    return elements


def join(elements: Sequence[bytes]) -> bytes:
    """The raw tensor of elements; see `split`."""
    return b"".join([part for one in elements for part in (len(one).to_bytes(SIZE_BYTES, "little"), one)])


def _text(number: int, element: bytes) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        raise InvalidText(
            f"element {number} of {INPUT} is not UTF-8 at byte {error.start}: send UTF-8"
        ) from None


def options_from(parameters: Mapping[str, pb.InferParameter], styles: Collection[str]) -> Options:
    """The options of a request.

    Raises:
        BadOption: Names the parameter, its value and what is allowed.
    """
    known = {"style", "rendering", "min_score", "first_occurrence_only", "timeout", *IGNORED}
    if unknown := sorted(set(parameters) - known):
        raise BadOption(
            "parameters", f"parameter {unknown[0][:32]!r} is unknown: use {', '.join(sorted(known))}"
        )
    rendering = _value(parameters, "rendering", str, Rendering.HANJA.value)
    names = [one.value for one in Rendering]
    if rendering not in names:
        raise BadOption("rendering", f"rendering is {rendering[:32]!r}: use one of {', '.join(names)}")
    options = Options(
        rendering=Rendering(rendering),
        min_score=float(_value(parameters, "min_score", (float, int), 0.0)),
        first_occurrence_only=_value(parameters, "first_occurrence_only", bool, False),
        style=_value(parameters, "style", str, DEFAULT_STYLE),
        with_spans=False,
    )
    options.validate(styles)
    return options


def timeout_s(parameters: Mapping[str, pb.InferParameter]) -> float | None:
    """How long the caller waits by the parameter `timeout`, in microseconds; None for ever.

    Raises:
        BadOption: It is not a positive whole number.
    """
    timeout_us: int = _value(parameters, "timeout", int, 0)
    if timeout_us < 0:
        raise BadOption("timeout", f"timeout is {timeout_us}: use microseconds, 0 for none")
    return timeout_us / 1e6 if timeout_us else None


def response_to(request: pb.ModelInferRequest, version: str, texts: Sequence[str]) -> pb.ModelInferResponse:
    """The response with the converted texts, in the shape in which they came."""
    response = pb.ModelInferResponse(
        model_name=request.model_name, model_version=version, id=request.id
    )
    response.outputs.add(name=OUTPUT, datatype=DATATYPE, shape=request.inputs[0].shape)
    response.raw_output_contents.append(join([text.encode() for text in texts]))
    return response


def _value(parameters: Mapping[str, pb.InferParameter], name: str, kind: type | tuple[type, ...], default):  # type: ignore[no-untyped-def]
    """The value of a parameter, which must be of a kind."""
    if name not in parameters:
        return default
    parameter = parameters[name]
    field = parameter.WhichOneof("parameter_choice")
    value = getattr(parameter, field) if field else None
    # bool is an int to Python, but not to anybody else.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise BadOption(name, f"parameter {name} has a value of the wrong type: see inference.proto")
    return value
