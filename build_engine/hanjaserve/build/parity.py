"""What a comparison with the PyTorch checkpoint found, and what of it is tolerated.

What: numbers per artefact, the two bounds that it must keep, and the report as JSON, as a table
for a terminal or, by `require`, as an error.
Why both bounds: agreement alone passes a graph that is wrong on one rare character, the margin
alone one that is wrong on every near tie.
Not: it runs nothing; see verify.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from hanjaserve.server.errors import ParityError


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What an artefact may differ by.

    Attributes:
        agreement: least share of units with equal labels; one near tie may always differ.
        margin: no unit may differ where PyTorch's best two labels are this far apart or farther.
    """

    agreement: float
    margin: float


TOLERANCES: Mapping[str, Tolerance] = {
    "fp32": Tolerance(agreement=0.9999, margin=1e-3),
    "fp16": Tolerance(agreement=0.999, margin=2**-4),
    "int8": Tolerance(agreement=0.999, margin=0.5),
}
"""By precision of the arithmetic or, for the CPU model, of the stored weights.

Scores of the default model reach 38. FP16 tells numbers between 16 and 32 apart by 2**-6: four such steps.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The first unit on which an artefact and the reference disagree beyond rounding."""

    sentence: str
    expected: str
    got: str
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtefactReport:
    """One artefact against the reference.

    Attributes:
        units: Hangul syllables, or tokens, that were compared.
        differing: of them, with another label.
        largest_margin: of the reference, over the differing units; 0 when none differs.
        largest_score_error: over the units with equal labels, as a probability.
        first_difference: the first differing sentence; of those beyond tolerance if there are any.
    """

    artefact: str
    precision: str
    sentences: int
    units: int
    differing: int
    largest_margin: float
    largest_score_error: float
    tolerance: Tolerance
    first_difference: Difference | None

    @property
    def agreement(self) -> float:
        """Share of units with equal labels, 0 to 1."""
        return 1.0 if self.units == 0 else 1 - self.differing / self.units

    @property
    def passed(self) -> bool:
        """Whether both bounds of the tolerance hold."""
        if self.differing == 0:
            return True
        # One near tie is no evidence: among a few hundred units it would be over any share.
        often_enough = self.differing == 1 or self.agreement >= self.tolerance.agreement
        return often_enough and self.largest_margin < self.tolerance.margin


@dataclass(frozen=True, slots=True, kw_only=True)
class ParityReport:
    """All artefacts of a bundle against one reference ("pytorch", or the FP32 ONNX)."""

    bundle: str
    reference: str
    artefacts: tuple[ArtefactReport, ...]

    def require(self) -> None:
        """Does nothing if every artefact passed.

        Raises:
            ParityError: the first that did not: its sentence, both outputs, the margin.
        """
        for report in self.artefacts:
            if not report.passed:
                raise ParityError(_failure(report, self.reference))

    def to_json(self) -> str:
        """The report as indented JSON."""
        rows = [{**asdict(r), "agreement": r.agreement, "passed": r.passed} for r in self.artefacts]
        content = {"bundle": self.bundle, "reference": self.reference, "artefacts": rows}
        return json.dumps(content, ensure_ascii=False, indent=2)

    def table(self) -> str:
        """The report as a table for a terminal."""
        head = ("artefact", "sentences", "units", "differing", "agreement", "margin", "score", "")
        rows = [head]
        for r in self.artefacts:
            numbers = (f"{r.sentences:,}", f"{r.units:,}", f"{r.differing:,}")
            errors = (f"{r.largest_margin:.1e}", f"{r.largest_score_error:.1e}")
            share = f"{100 * r.agreement:.4f} %"
            rows.append((r.artefact, *numbers, share, *errors, "ok" if r.passed else "FAILED"))
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        lines = [
            "  ".join(
                cell.ljust(width) if i in (0, len(head) - 1) else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        ]
        return "\n".join([f"parity with {self.reference}", *lines])


def _failure(report: ArtefactReport, reference: str) -> str:
    limits = (
        f"{report.artefact} disagrees with {reference} on {report.differing:,} of {report.units:,} "
        f"units ({100 * report.agreement:.4f} %, at least {100 * report.tolerance.agreement:g} % "
        f"must agree), margin up to {report.largest_margin:.2e} (limit "
        f"{report.tolerance.margin:g})"
    )
    first = report.first_difference
    if first is None:
        return limits
    return (
        f"{limits}; first differing sentence {first.sentence!r}: {reference} gives "
        f"{first.expected!r}, {report.artefact} gives {first.got!r}, margin {first.margin:.2e}"
    )
