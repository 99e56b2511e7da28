"""The codes of this room."""

from __future__ import annotations

from torch_stabilize.codes import Code
from torch_stabilize.model import Confidence

RETIRED = "TSA931"
KEPT = "TSA932"

CODES: tuple[Code, ...] = (
    Code(
        code=RETIRED,
        title="What the headers of torch have is used from there, and the generated code for it is removed.",
        text="An earlier run wrote a wrapper or a helper because the headers of that time had nothing. "
        "`torch-stabilize retire` replaces its uses and takes it out where the headers in use have it. A wrapper of "
        "the dispatcher calls the op that the function of the stable headers calls.",
    ),
    Code(
        code=KEPT,
        title="A generated helper stays although the headers have what it replaces.",
        text="Something still uses it that cannot be told apart from a namesake, or that is no code of CUDA while the "
        "header of torch is. Replace that use by hand and run `torch-stabilize retire` again.",
        confidence=Confidence.SAFE,
    ),
)
