"""What a caller needs for a method: one table. A method that does not stand in it is refused to everybody.

So one that is added later stays shut until somebody has decided about it here.
"""

from enum import StrEnum


class Right(StrEnum):
    """What a token may allow its owner."""

    CONVERT = "convert"
    LIVE = "live"
    GLOSSARY = "glossary"
    ADMIN = "admin"


class Open(StrEnum):
    """What needs no right."""

    ANYONE = "anyone"  # even callers without a token, as probes are
    KNOWN = "known"  # whoever is let in at all


Need = Right | Open

WITHOUT_TOKENS = frozenset({Right.CONVERT, Right.LIVE, Right.GLOSSARY})
"""The rights of everybody on a server that asks for no tokens."""

HANJASERVE: dict[str, Need] = {
    "Convert": Right.CONVERT,
    "BatchConvert": Right.CONVERT,
    "StreamConvert": Right.CONVERT,
    "LiveConvert": Right.LIVE,
    "GetServerInfo": Open.KNOWN,
    "PutGlossary": Right.GLOSSARY,
    "DeleteGlossary": Right.GLOSSARY,
    "GetGlossary": Right.GLOSSARY,
    "ListGlossaries": Right.GLOSSARY,
}
# https://github.com/kserve/open-inference-protocol
KSERVE: dict[str, Need] = {
    "ServerLive": Open.ANYONE,
    "ServerReady": Open.ANYONE,
    "ModelReady": Open.ANYONE,
    "ServerMetadata": Open.KNOWN,
    "ModelMetadata": Open.KNOWN,
    "ModelConfig": Open.KNOWN,
    "ModelStatistics": Open.KNOWN,
    "ModelInfer": Right.CONVERT,
    "ModelStreamInfer": Right.CONVERT,
}
NEEDS: dict[str, dict[str, Need]] = {
    "hanjaserve.v1.HanjaService": HANJASERVE,
    "inference.GRPCInferenceService": KSERVE,
    "grpc.health.v1.Health": {"Check": Open.ANYONE, "List": Open.ANYONE, "Watch": Open.ANYONE},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": Open.KNOWN},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": Open.KNOWN},
}


def need_of(path: str) -> Need | None:
    """What a call of `/package.Service/Method` needs; None for what nobody has decided about."""
    _, _, rest = path.partition("/")
    service, _, method = rest.partition("/")
    return NEEDS.get(service, {}).get(method)
