"""What the programs that judge a dump have in common: a plan comes in, a judgement goes out. It travels with them.

Standard library only, Python 3.8 and later.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WALLS = "CLOUDBACKUP_WALLS"  # environment variable with the names of the walls


class FaultError(Exception):
    """The dump is not good, or cannot be judged; `remedy` is what to do.

    `unable`: this machine lacks what the dump needs, which says nothing about the dump.
    """

    def __init__(self, fault: str, remedy: str = "", *, unable: bool = False) -> None:
        super().__init__(fault)
        self.remedy = remedy
        self.unable = unable


def answer(judge: Callable[[dict[str, object]], str]) -> None:
    """Judge the dump of the plan in the first argument, JSON; print one line of JSON.

    `judge` gets the plan and returns what was found in a good dump, or raises FaultError. The line holds `fault`,
    `remedy` and `unable`, or `said`; and `walls`, those behind which it ran.
    """
    plan = json.loads(sys.argv[1])
    try:
        found: dict[str, object] = {"said": [judge(plan)]}
    except FaultError as error:
        found = {"fault": str(error)[:1500], "remedy": error.remedy, "unable": error.unable}
    print(json.dumps({**found, "walls": json.loads(os.environ.get(WALLS) or "[]")}))
