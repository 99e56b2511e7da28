"""Check a plan as a whole: what the tree would be, compared with what it is, whatever made the plan.

Every finding is something to do by hand. One cause gives one finding: a unit that is built nowhere is that, and not
also every function that it defines.
"""

from __future__ import annotations

from codemod.model import Diagnostic
from codemod.repository.program.check_build import check_build
from codemod.repository.program.check_link import check_links
from codemod.repository.program.check_names import check_code
from codemod.repository.program.check_registrations import check_registrations
from codemod.repository.program.planned import Planned

_CHECKS = (check_build, check_links, check_registrations, check_code)


def check_plan(planned: Planned) -> tuple[Diagnostic, ...]:
    """What `planned` would break, each cause once. Nothing for a plan that changes nothing."""
    if planned.plan.is_empty:
        return ()
    return tuple(
        dict.fromkeys(
            (*check_build(planned), *check_links(planned), *check_registrations(planned), *check_code(planned))
        )
    )
