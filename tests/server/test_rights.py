"""Every method that is served has a place in the table; what has none is shut."""

import pytest
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from hanjaserve.server.rights import NEEDS, Open, Right, need_of
from hanjaserve.v1 import hanjaserve_pb2 as pb

SERVED = [
    service
    for module in (pb, health_pb2, reflection_pb2)
    for service in module.DESCRIPTOR.services_by_name.values()
]


@pytest.mark.parametrize("service", SERVED, ids=lambda service: service.full_name)
def test_every_method_that_is_served_has_a_place(service: ServiceDescriptor) -> None:
    undecided = {method.name for method in service.methods} - NEEDS[service.full_name].keys()
    assert not undecided, "decide in rights.py what a caller needs for them"


def test_only_probes_need_no_token() -> None:
    open_to_all = {f"{s}/{m}" for s, methods in NEEDS.items() for m, n in methods.items() if n is Open.ANYONE}
    assert {path.rpartition(".")[2] for path in open_to_all} == {
        "Health/Check", "Health/List", "Health/Watch",
        "GRPCInferenceService/ServerLive", "GRPCInferenceService/ServerReady",
        "GRPCInferenceService/ModelReady",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["", "/", "Convert", "/hanjaserve.v1.HanjaService/", "//Check"])
def test_unknown_methods_need_what_nobody_has(path: str) -> None:
    assert need_of(path) is None


def test_converting_needs_the_right_to_convert() -> None:
    assert need_of("/hanjaserve.v1.HanjaService/Convert") is Right.CONVERT
