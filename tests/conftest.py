"""What all tests share: in CI (environment variable CI) a skipped test is a failed one."""

import os
import shutil
import signal
from collections.abc import Generator
from typing import TypeVar

import pytest
from hypothesis import settings

# borg tests its own cryptography and loads FUSE's library at each start, half of a short command's time; the tests start
# it thousands of times. The lab hands this on to its hosts and its box.
os.environ.setdefault("BORG_SELFTEST", "disabled")
os.environ.setdefault("BORG_FUSE_IMPL", "none")

# Started in the background of a script, this process ignores Ctrl-C and would hand that on to the programs it tests.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault of a property.
settings.register_profile("patient", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)  # for `./inv test --quick`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "patient"))

QUICK = os.environ.get("HYPOTHESIS_PROFILE") == "quick"

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def forbid_skip(report: Report) -> Report:
    """Turn a skip into a failure when CI is set. An expected failure (xfail) is no skip."""
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: skips are forbidden in CI: {reason}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs a program that is not here: `./inv test --quick` installs none, `./inv test` installs all."""
    if not QUICK:
        return
    programs = {item: [word for mark in item.iter_markers("needs") for word in mark.args] for item in items}
    lacking = [item for item in items if not all(map(shutil.which, programs[item]))]
    if lacking:
        config.hook.pytest_deselected(items=lacking)
        items[:] = [item for item in items if item not in lacking]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return forbid_skip((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return forbid_skip((yield))
