from google.rpc import status_pb2 as _status_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Rendering(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RENDERING_UNSPECIFIED: _ClassVar[Rendering]
    RENDERING_HANJA: _ClassVar[Rendering]
    RENDERING_HANGUL_HANJA: _ClassVar[Rendering]
    RENDERING_HANJA_HANGUL: _ClassVar[Rendering]
    RENDERING_RUBY: _ClassVar[Rendering]
RENDERING_UNSPECIFIED: Rendering
RENDERING_HANJA: Rendering
RENDERING_HANGUL_HANJA: Rendering
RENDERING_HANJA_HANGUL: Rendering
RENDERING_RUBY: Rendering

class ConvertOptions(_message.Message):
    __slots__ = ("rendering", "min_score", "max_alternatives", "first_occurrence_only", "style", "with_spans")
    RENDERING_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    FIRST_OCCURRENCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    WITH_SPANS_FIELD_NUMBER: _ClassVar[int]
    rendering: Rendering
    min_score: float
    max_alternatives: int
    first_occurrence_only: bool
    style: str
    with_spans: bool
    def __init__(self, rendering: _Optional[_Union[Rendering, str]] = ..., min_score: _Optional[float] = ..., max_alternatives: _Optional[int] = ..., first_occurrence_only: _Optional[bool] = ..., style: _Optional[str] = ..., with_spans: _Optional[bool] = ...) -> None: ...

class Alternative(_message.Message):
    __slots__ = ("hanja", "score")
    HANJA_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    hanja: str
    score: float
    def __init__(self, hanja: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end", "hangul", "hanja", "score", "alternatives")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    HANGUL_FIELD_NUMBER: _ClassVar[int]
    HANJA_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: _containers.RepeatedCompositeFieldContainer[Alternative]
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., hangul: _Optional[str] = ..., hanja: _Optional[str] = ..., score: _Optional[float] = ..., alternatives: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ...) -> None: ...

class Conversion(_message.Message):
    __slots__ = ("text", "spans")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    text: str
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    def __init__(self, text: _Optional[str] = ..., spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ...) -> None: ...

class ConvertRequest(_message.Message):
    __slots__ = ("text", "options")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    text: str
    options: ConvertOptions
    def __init__(self, text: _Optional[str] = ..., options: _Optional[_Union[ConvertOptions, _Mapping]] = ...) -> None: ...

class ConvertResponse(_message.Message):
    __slots__ = ("conversion",)
    CONVERSION_FIELD_NUMBER: _ClassVar[int]
    conversion: Conversion
    def __init__(self, conversion: _Optional[_Union[Conversion, _Mapping]] = ...) -> None: ...

class BatchConvertRequest(_message.Message):
    __slots__ = ("texts", "options")
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    texts: _containers.RepeatedScalarFieldContainer[str]
    options: ConvertOptions
    def __init__(self, texts: _Optional[_Iterable[str]] = ..., options: _Optional[_Union[ConvertOptions, _Mapping]] = ...) -> None: ...

class BatchConvertResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ItemResult]
    def __init__(self, results: _Optional[_Iterable[_Union[ItemResult, _Mapping]]] = ...) -> None: ...

class ItemResult(_message.Message):
    __slots__ = ("conversion", "error")
    CONVERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    conversion: Conversion
    error: _status_pb2.Status
    def __init__(self, conversion: _Optional[_Union[Conversion, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class StreamConvertRequest(_message.Message):
    __slots__ = ("config", "items")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    config: StreamConfig
    items: StreamItems
    def __init__(self, config: _Optional[_Union[StreamConfig, _Mapping]] = ..., items: _Optional[_Union[StreamItems, _Mapping]] = ...) -> None: ...

class StreamConfig(_message.Message):
    __slots__ = ("options",)
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    options: ConvertOptions
    def __init__(self, options: _Optional[_Union[ConvertOptions, _Mapping]] = ...) -> None: ...

class StreamItems(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[StreamItem]
    def __init__(self, items: _Optional[_Iterable[_Union[StreamItem, _Mapping]]] = ...) -> None: ...

class StreamItem(_message.Message):
    __slots__ = ("id", "text")
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    id: int
    text: str
    def __init__(self, id: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class StreamConvertResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[StreamResult]
    def __init__(self, results: _Optional[_Iterable[_Union[StreamResult, _Mapping]]] = ...) -> None: ...

class StreamResult(_message.Message):
    __slots__ = ("id", "conversion", "error")
    ID_FIELD_NUMBER: _ClassVar[int]
    CONVERSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    id: int
    conversion: Conversion
    error: _status_pb2.Status
    def __init__(self, id: _Optional[int] = ..., conversion: _Optional[_Union[Conversion, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "model", "model_revision", "scheme", "runner", "ladder", "limits", "styles", "ready")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    LADDER_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    STYLES_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    version: str
    model: str
    model_revision: str
    scheme: str
    runner: str
    ladder: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    styles: _containers.RepeatedScalarFieldContainer[str]
    ready: bool
    def __init__(self, version: _Optional[str] = ..., model: _Optional[str] = ..., model_revision: _Optional[str] = ..., scheme: _Optional[str] = ..., runner: _Optional[str] = ..., ladder: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., styles: _Optional[_Iterable[str]] = ..., ready: _Optional[bool] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_text_code_points", "max_batch_items", "max_message_bytes", "max_stream_in_flight")
    MAX_TEXT_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAM_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    max_text_code_points: int
    max_batch_items: int
    max_message_bytes: int
    max_stream_in_flight: int
    def __init__(self, max_text_code_points: _Optional[int] = ..., max_batch_items: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_stream_in_flight: _Optional[int] = ...) -> None: ...
