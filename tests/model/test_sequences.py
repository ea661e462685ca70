"""Nothing is lost, and everything wrong is told, in whatever order things happen.

`CLOUDBACKUP_SEQUENCES=10000 python -m pytest tests/model/test_sequences.py --timeout 0` is the long form, other sequences
each time; `CLOUDBACKUP_UNSHRUNK=1` shows the first that fails as it was found.
"""

import os

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.machine import Sequences

COUNT = int(os.environ.get("CLOUDBACKUP_SEQUENCES", "0"))
SETTINGS = settings(
    max_examples=COUNT or 30,
    derandomize=not COUNT,  # the short form is the same each time
    stateful_step_count=25,
    deadline=None,
    database=None,
    phases=[Phase.generate] if os.environ.get("CLOUDBACKUP_UNSHRUNK") else list(Phase),
    suppress_health_check=list(HealthCheck),
)


def test_nothing_is_lost_in_whatever_order_things_happen() -> None:
    run_state_machine_as_test(Sequences, settings=SETTINGS)
