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
    RENDERING_HANGUL: _ClassVar[Rendering]

class CharacterSet(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHARACTER_SET_UNSPECIFIED: _ClassVar[CharacterSet]
    CHARACTER_SET_ALL: _ClassVar[CharacterSet]
    CHARACTER_SET_EDUCATIONAL: _ClassVar[CharacterSet]
    CHARACTER_SET_CUSTOM: _ClassVar[CharacterSet]

class SpanSource(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPAN_SOURCE_UNSPECIFIED: _ClassVar[SpanSource]
    SPAN_SOURCE_MODEL: _ClassVar[SpanSource]
    SPAN_SOURCE_GLOSSARY: _ClassVar[SpanSource]
    SPAN_SOURCE_READING: _ClassVar[SpanSource]
    SPAN_SOURCE_KEPT: _ClassVar[SpanSource]

class OffsetUnit(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OFFSET_UNIT_UNSPECIFIED: _ClassVar[OffsetUnit]
    OFFSET_UNIT_CODE_POINT: _ClassVar[OffsetUnit]
    OFFSET_UNIT_UTF16: _ClassVar[OffsetUnit]

class Segmentation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEGMENTATION_UNSPECIFIED: _ClassVar[Segmentation]
    SEGMENTATION_SENTENCE: _ClassVar[Segmentation]
    SEGMENTATION_LINE: _ClassVar[Segmentation]
RENDERING_UNSPECIFIED: Rendering
RENDERING_HANJA: Rendering
RENDERING_HANGUL_HANJA: Rendering
RENDERING_HANJA_HANGUL: Rendering
RENDERING_RUBY: Rendering
RENDERING_HANGUL: Rendering
CHARACTER_SET_UNSPECIFIED: CharacterSet
CHARACTER_SET_ALL: CharacterSet
CHARACTER_SET_EDUCATIONAL: CharacterSet
CHARACTER_SET_CUSTOM: CharacterSet
SPAN_SOURCE_UNSPECIFIED: SpanSource
SPAN_SOURCE_MODEL: SpanSource
SPAN_SOURCE_GLOSSARY: SpanSource
SPAN_SOURCE_READING: SpanSource
SPAN_SOURCE_KEPT: SpanSource
OFFSET_UNIT_UNSPECIFIED: OffsetUnit
OFFSET_UNIT_CODE_POINT: OffsetUnit
OFFSET_UNIT_UTF16: OffsetUnit
SEGMENTATION_UNSPECIFIED: Segmentation
SEGMENTATION_SENTENCE: Segmentation
SEGMENTATION_LINE: Segmentation

class ConvertOptions(_message.Message):
    __slots__ = ("rendering", "min_score", "max_alternatives", "first_occurrence_only", "style", "with_spans", "character_set", "characters", "with_kept", "read_hanja", "glossary", "glossary_reference")
    RENDERING_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    MAX_ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    FIRST_OCCURRENCE_ONLY_FIELD_NUMBER: _ClassVar[int]
    STYLE_FIELD_NUMBER: _ClassVar[int]
    WITH_SPANS_FIELD_NUMBER: _ClassVar[int]
    CHARACTER_SET_FIELD_NUMBER: _ClassVar[int]
    CHARACTERS_FIELD_NUMBER: _ClassVar[int]
    WITH_KEPT_FIELD_NUMBER: _ClassVar[int]
    READ_HANJA_FIELD_NUMBER: _ClassVar[int]
    GLOSSARY_FIELD_NUMBER: _ClassVar[int]
    GLOSSARY_REFERENCE_FIELD_NUMBER: _ClassVar[int]
    rendering: Rendering
    min_score: float
    max_alternatives: int
    first_occurrence_only: bool
    style: str
    with_spans: bool
    character_set: CharacterSet
    characters: str
    with_kept: bool
    read_hanja: bool
    glossary: Glossary
    glossary_reference: GlossaryReference
    def __init__(self, rendering: _Optional[_Union[Rendering, str]] = ..., min_score: _Optional[float] = ..., max_alternatives: _Optional[int] = ..., first_occurrence_only: _Optional[bool] = ..., style: _Optional[str] = ..., with_spans: _Optional[bool] = ..., character_set: _Optional[_Union[CharacterSet, str]] = ..., characters: _Optional[str] = ..., with_kept: _Optional[bool] = ..., read_hanja: _Optional[bool] = ..., glossary: _Optional[_Union[Glossary, _Mapping]] = ..., glossary_reference: _Optional[_Union[GlossaryReference, _Mapping]] = ...) -> None: ...

class Glossary(_message.Message):
    __slots__ = ("entries",)
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    entries: _containers.RepeatedCompositeFieldContainer[GlossaryEntry]
    def __init__(self, entries: _Optional[_Iterable[_Union[GlossaryEntry, _Mapping]]] = ...) -> None: ...

class GlossaryEntry(_message.Message):
    __slots__ = ("hangul", "hanja", "keep", "allow_any_reading")
    HANGUL_FIELD_NUMBER: _ClassVar[int]
    HANJA_FIELD_NUMBER: _ClassVar[int]
    KEEP_FIELD_NUMBER: _ClassVar[int]
    ALLOW_ANY_READING_FIELD_NUMBER: _ClassVar[int]
    hangul: str
    hanja: str
    keep: bool
    allow_any_reading: bool
    def __init__(self, hangul: _Optional[str] = ..., hanja: _Optional[str] = ..., keep: _Optional[bool] = ..., allow_any_reading: _Optional[bool] = ...) -> None: ...

class GlossaryReference(_message.Message):
    __slots__ = ("id", "version")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class Alternative(_message.Message):
    __slots__ = ("hanja", "score")
    HANJA_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    hanja: str
    score: float
    def __init__(self, hanja: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class Span(_message.Message):
    __slots__ = ("start", "end", "hangul", "hanja", "score", "alternatives", "source")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    HANGUL_FIELD_NUMBER: _ClassVar[int]
    HANJA_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    ALTERNATIVES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    hangul: str
    hanja: str
    score: float
    alternatives: _containers.RepeatedCompositeFieldContainer[Alternative]
    source: SpanSource
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., hangul: _Optional[str] = ..., hanja: _Optional[str] = ..., score: _Optional[float] = ..., alternatives: _Optional[_Iterable[_Union[Alternative, _Mapping]]] = ..., source: _Optional[_Union[SpanSource, str]] = ...) -> None: ...

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

class PutGlossaryRequest(_message.Message):
    __slots__ = ("id", "glossary", "expected_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    GLOSSARY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    glossary: Glossary
    expected_version: str
    def __init__(self, id: _Optional[str] = ..., glossary: _Optional[_Union[Glossary, _Mapping]] = ..., expected_version: _Optional[str] = ...) -> None: ...

class PutGlossaryResponse(_message.Message):
    __slots__ = ("info",)
    INFO_FIELD_NUMBER: _ClassVar[int]
    info: GlossaryInfo
    def __init__(self, info: _Optional[_Union[GlossaryInfo, _Mapping]] = ...) -> None: ...

class GlossaryInfo(_message.Message):
    __slots__ = ("id", "version", "entries")
    ID_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ENTRIES_FIELD_NUMBER: _ClassVar[int]
    id: str
    version: str
    entries: int
    def __init__(self, id: _Optional[str] = ..., version: _Optional[str] = ..., entries: _Optional[int] = ...) -> None: ...

class GetGlossaryRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class GetGlossaryResponse(_message.Message):
    __slots__ = ("info", "glossary")
    INFO_FIELD_NUMBER: _ClassVar[int]
    GLOSSARY_FIELD_NUMBER: _ClassVar[int]
    info: GlossaryInfo
    glossary: Glossary
    def __init__(self, info: _Optional[_Union[GlossaryInfo, _Mapping]] = ..., glossary: _Optional[_Union[Glossary, _Mapping]] = ...) -> None: ...

class DeleteGlossaryRequest(_message.Message):
    __slots__ = ("id", "expected_version")
    ID_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    id: str
    expected_version: str
    def __init__(self, id: _Optional[str] = ..., expected_version: _Optional[str] = ...) -> None: ...

class DeleteGlossaryResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGlossariesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListGlossariesResponse(_message.Message):
    __slots__ = ("glossaries",)
    GLOSSARIES_FIELD_NUMBER: _ClassVar[int]
    glossaries: _containers.RepeatedCompositeFieldContainer[GlossaryInfo]
    def __init__(self, glossaries: _Optional[_Iterable[_Union[GlossaryInfo, _Mapping]]] = ...) -> None: ...

class LiveRequest(_message.Message):
    __slots__ = ("config", "edit", "replace", "commit", "flush", "ping")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    EDIT_FIELD_NUMBER: _ClassVar[int]
    REPLACE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    FLUSH_FIELD_NUMBER: _ClassVar[int]
    PING_FIELD_NUMBER: _ClassVar[int]
    config: LiveConfig
    edit: LiveEdit
    replace: LiveReplace
    commit: LiveCommit
    flush: LiveFlush
    ping: LivePing
    def __init__(self, config: _Optional[_Union[LiveConfig, _Mapping]] = ..., edit: _Optional[_Union[LiveEdit, _Mapping]] = ..., replace: _Optional[_Union[LiveReplace, _Mapping]] = ..., commit: _Optional[_Union[LiveCommit, _Mapping]] = ..., flush: _Optional[_Union[LiveFlush, _Mapping]] = ..., ping: _Optional[_Union[LivePing, _Mapping]] = ...) -> None: ...

class LiveConfig(_message.Message):
    __slots__ = ("options", "offset_unit", "segmentation", "finals_only", "max_interim_per_s", "resume")
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    OFFSET_UNIT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTATION_FIELD_NUMBER: _ClassVar[int]
    FINALS_ONLY_FIELD_NUMBER: _ClassVar[int]
    MAX_INTERIM_PER_S_FIELD_NUMBER: _ClassVar[int]
    RESUME_FIELD_NUMBER: _ClassVar[int]
    options: ConvertOptions
    offset_unit: OffsetUnit
    segmentation: Segmentation
    finals_only: bool
    max_interim_per_s: int
    resume: LiveResume
    def __init__(self, options: _Optional[_Union[ConvertOptions, _Mapping]] = ..., offset_unit: _Optional[_Union[OffsetUnit, str]] = ..., segmentation: _Optional[_Union[Segmentation, str]] = ..., finals_only: _Optional[bool] = ..., max_interim_per_s: _Optional[int] = ..., resume: _Optional[_Union[LiveResume, _Mapping]] = ...) -> None: ...

class LiveResume(_message.Message):
    __slots__ = ("resume_token", "revision", "text", "finals", "next_segment_id")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    FINALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    revision: int
    text: str
    finals: _containers.RepeatedCompositeFieldContainer[FinalSegment]
    next_segment_id: int
    def __init__(self, resume_token: _Optional[str] = ..., revision: _Optional[int] = ..., text: _Optional[str] = ..., finals: _Optional[_Iterable[_Union[FinalSegment, _Mapping]]] = ..., next_segment_id: _Optional[int] = ...) -> None: ...

class FinalSegment(_message.Message):
    __slots__ = ("segment_id", "start", "end")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    segment_id: int
    start: int
    end: int
    def __init__(self, segment_id: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ...) -> None: ...

class LiveEdit(_message.Message):
    __slots__ = ("revision", "splices")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SPLICES_FIELD_NUMBER: _ClassVar[int]
    revision: int
    splices: _containers.RepeatedCompositeFieldContainer[Splice]
    def __init__(self, revision: _Optional[int] = ..., splices: _Optional[_Iterable[_Union[Splice, _Mapping]]] = ...) -> None: ...

class Splice(_message.Message):
    __slots__ = ("start", "end", "text")
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    start: int
    end: int
    text: str
    def __init__(self, start: _Optional[int] = ..., end: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class LiveReplace(_message.Message):
    __slots__ = ("revision", "text")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    revision: int
    text: str
    def __init__(self, revision: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...

class LiveCommit(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class LiveFlush(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class LivePing(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class LiveResponse(_message.Message):
    __slots__ = ("events",)
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[LiveEvent]
    def __init__(self, events: _Optional[_Iterable[_Union[LiveEvent, _Mapping]]] = ...) -> None: ...

class LiveEvent(_message.Message):
    __slots__ = ("started", "segments_changed", "result", "invalidated", "done", "rejected", "pong", "go_away")
    STARTED_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_CHANGED_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    INVALIDATED_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    PONG_FIELD_NUMBER: _ClassVar[int]
    GO_AWAY_FIELD_NUMBER: _ClassVar[int]
    started: LiveStarted
    segments_changed: SegmentsChanged
    result: SegmentResult
    invalidated: Invalidated
    done: RevisionDone
    rejected: Rejected
    pong: LivePong
    go_away: GoAway
    def __init__(self, started: _Optional[_Union[LiveStarted, _Mapping]] = ..., segments_changed: _Optional[_Union[SegmentsChanged, _Mapping]] = ..., result: _Optional[_Union[SegmentResult, _Mapping]] = ..., invalidated: _Optional[_Union[Invalidated, _Mapping]] = ..., done: _Optional[_Union[RevisionDone, _Mapping]] = ..., rejected: _Optional[_Union[Rejected, _Mapping]] = ..., pong: _Optional[_Union[LivePong, _Mapping]] = ..., go_away: _Optional[_Union[GoAway, _Mapping]] = ...) -> None: ...

class LiveStarted(_message.Message):
    __slots__ = ("resume_token", "model_revision", "limits")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    model_revision: str
    limits: LiveLimits
    def __init__(self, resume_token: _Optional[str] = ..., model_revision: _Optional[str] = ..., limits: _Optional[_Union[LiveLimits, _Mapping]] = ...) -> None: ...

class LiveLimits(_message.Message):
    __slots__ = ("max_code_points", "max_segments", "max_edits_per_s", "max_interim_per_s", "max_splices")
    MAX_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    MAX_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MAX_EDITS_PER_S_FIELD_NUMBER: _ClassVar[int]
    MAX_INTERIM_PER_S_FIELD_NUMBER: _ClassVar[int]
    MAX_SPLICES_FIELD_NUMBER: _ClassVar[int]
    max_code_points: int
    max_segments: int
    max_edits_per_s: int
    max_interim_per_s: int
    max_splices: int
    def __init__(self, max_code_points: _Optional[int] = ..., max_segments: _Optional[int] = ..., max_edits_per_s: _Optional[int] = ..., max_interim_per_s: _Optional[int] = ..., max_splices: _Optional[int] = ...) -> None: ...

class SegmentsChanged(_message.Message):
    __slots__ = ("revision", "index", "removed", "added")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    ADDED_FIELD_NUMBER: _ClassVar[int]
    revision: int
    index: int
    removed: int
    added: _containers.RepeatedCompositeFieldContainer[SegmentHead]
    def __init__(self, revision: _Optional[int] = ..., index: _Optional[int] = ..., removed: _Optional[int] = ..., added: _Optional[_Iterable[_Union[SegmentHead, _Mapping]]] = ...) -> None: ...

class SegmentHead(_message.Message):
    __slots__ = ("segment_id", "length")
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    segment_id: int
    length: int
    def __init__(self, segment_id: _Optional[int] = ..., length: _Optional[int] = ...) -> None: ...

class SegmentResult(_message.Message):
    __slots__ = ("revision", "segment_id", "start", "end", "text", "spans", "is_final", "error")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_ID_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SPANS_FIELD_NUMBER: _ClassVar[int]
    IS_FINAL_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    revision: int
    segment_id: int
    start: int
    end: int
    text: str
    spans: _containers.RepeatedCompositeFieldContainer[Span]
    is_final: bool
    error: _status_pb2.Status
    def __init__(self, revision: _Optional[int] = ..., segment_id: _Optional[int] = ..., start: _Optional[int] = ..., end: _Optional[int] = ..., text: _Optional[str] = ..., spans: _Optional[_Iterable[_Union[Span, _Mapping]]] = ..., is_final: _Optional[bool] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class Invalidated(_message.Message):
    __slots__ = ("revision", "segment_ids")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_IDS_FIELD_NUMBER: _ClassVar[int]
    revision: int
    segment_ids: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, revision: _Optional[int] = ..., segment_ids: _Optional[_Iterable[int]] = ...) -> None: ...

class RevisionDone(_message.Message):
    __slots__ = ("revision", "first_revision")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    FIRST_REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    first_revision: int
    def __init__(self, revision: _Optional[int] = ..., first_revision: _Optional[int] = ...) -> None: ...

class Rejected(_message.Message):
    __slots__ = ("revision", "status", "current_revision")
    REVISION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CURRENT_REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    status: _status_pb2.Status
    current_revision: int
    def __init__(self, revision: _Optional[int] = ..., status: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., current_revision: _Optional[int] = ...) -> None: ...

class LivePong(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: int
    def __init__(self, nonce: _Optional[int] = ...) -> None: ...

class GoAway(_message.Message):
    __slots__ = ("resume_token", "revision")
    RESUME_TOKEN_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    resume_token: str
    revision: int
    def __init__(self, resume_token: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "model", "model_revision", "scheme", "runner", "ladder", "limits", "styles", "ready", "frontends")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_REVISION_FIELD_NUMBER: _ClassVar[int]
    SCHEME_FIELD_NUMBER: _ClassVar[int]
    RUNNER_FIELD_NUMBER: _ClassVar[int]
    LADDER_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    STYLES_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    FRONTENDS_FIELD_NUMBER: _ClassVar[int]
    version: str
    model: str
    model_revision: str
    scheme: str
    runner: str
    ladder: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    styles: _containers.RepeatedScalarFieldContainer[str]
    ready: bool
    frontends: int
    def __init__(self, version: _Optional[str] = ..., model: _Optional[str] = ..., model_revision: _Optional[str] = ..., scheme: _Optional[str] = ..., runner: _Optional[str] = ..., ladder: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., styles: _Optional[_Iterable[str]] = ..., ready: _Optional[bool] = ..., frontends: _Optional[int] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_text_code_points", "max_batch_items", "max_message_bytes", "max_stream_in_flight", "max_inline_glossary_entries", "max_glossary_entries", "max_glossaries", "max_live_code_points")
    MAX_TEXT_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_ITEMS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_STREAM_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    MAX_INLINE_GLOSSARY_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MAX_GLOSSARY_ENTRIES_FIELD_NUMBER: _ClassVar[int]
    MAX_GLOSSARIES_FIELD_NUMBER: _ClassVar[int]
    MAX_LIVE_CODE_POINTS_FIELD_NUMBER: _ClassVar[int]
    max_text_code_points: int
    max_batch_items: int
    max_message_bytes: int
    max_stream_in_flight: int
    max_inline_glossary_entries: int
    max_glossary_entries: int
    max_glossaries: int
    max_live_code_points: int
    def __init__(self, max_text_code_points: _Optional[int] = ..., max_batch_items: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., max_stream_in_flight: _Optional[int] = ..., max_inline_glossary_entries: _Optional[int] = ..., max_glossary_entries: _Optional[int] = ..., max_glossaries: _Optional[int] = ..., max_live_code_points: _Optional[int] = ...) -> None: ...
