"""Least versions on a host: one sentence each, and a missing program is named as what it is."""

import pytest

from tasks.app.programs import programs, version
from tasks.remote.facts import Facts, Tools, parse_tools
from tasks.remote.openssh import OpenSsh


class Shop:
    """As much of an app as is looked at."""

    name = "shop"
    host = "root@shop1"


def errors(tools: Tools, bash: str = "5.2.15", ssh: str | None = "9.2p1") -> dict[str, str]:
    facts = Facts("/root", "root", "m", None, bash, OpenSsh(ssh))
    found = list(programs(Shop(), facts, tools, over_ssh=True))  # type: ignore[arg-type]
    assert all(check.remedy for check in found if check.level == "error")
    return {check.name: check.text for check in found if check.level == "error"}


GOOD = Tools("1.2.4", "3.8.0")


def test_the_least_versions_themselves_are_enough() -> None:
    assert errors(Tools("1.2.0", "3.8.0"), "4.4.0", "7.4p1") == {}


@pytest.mark.parametrize(
    ("told", "name", "text"),
    [
        (errors(Tools("1.2.4", "3.7.17")), "python3", "python 3.7.17 on root@shop1 is too old: 3.8 or later is needed"),
        (errors(Tools("1.2.4", "2.7.18")), "python3", "python 2.7.18 on root@shop1 is too old: 3.8 or later is needed"),
        (errors(Tools("1.1.17", "3.8.1")), "borg", "borg 1.1.17 on root@shop1 is not supported"),
        (errors(Tools("2.0.0b25", "3.8.1")), "borg", "borg 2.0.0b25 on root@shop1 is not supported"),
        (errors(GOOD, bash="4.2.46"), "bash", "bash 4.2.46 on root@shop1 is too old: 4.4 or later is needed"),
        (errors(GOOD, ssh="6.6.1p1"), "ssh", "OpenSSH 6.6.1p1 on root@shop1 is too old: 7.4 or later is needed"),
        (errors(GOOD, ssh=None), "ssh", "OpenSSH's ssh is not installed on root@shop1"),
    ],
)
def test_each_has_one_sentence(told: dict[str, str], name: str, text: str) -> None:
    assert told == {name: text}


def test_a_home_that_cannot_be_written_is_told() -> None:
    facts = Facts("/home/deploy", "deploy", "m", None, "5.2", home_closed=True)
    told = [check for check in programs(Shop(), facts, GOOD, over_ssh=False) if check.level == "error"]  # type: ignore[arg-type]
    assert [check.name for check in told] == ["home"]
    assert "/home/deploy on root@shop1 may not be written by deploy" in told[0].text


def test_a_missing_python_is_not_told_as_a_missing_borg() -> None:
    told = errors(parse_tools("borg=env: 'python3': No such file or directory\n"))
    assert told["python3"] == "is not installed on root@shop1"
    assert told["borg"] == "cannot be asked without python3 on root@shop1"


def test_a_borg_that_does_not_start_says_why() -> None:
    told = errors(parse_tools("python3=Python 3.11.2\nborg=ImportError: libcrypto.so.1.1\x1b[31m is missing\n"))
    assert told == {"borg": "is there on root@shop1 and does not start: ImportError: libcrypto.so.1.1[31m is missing"}
    assert errors(parse_tools("python3=Python 3.11.2\n")) == {"borg": "is not installed on root@shop1"}


@pytest.mark.parametrize(
    ("text", "found"), [("9.2p1", (9, 2)), ("10.0", (10, 0)), ("", None), (None, None), ("x", None)]
)
def test_versions_are_compared_as_numbers(text: str | None, found: tuple[int, int] | None) -> None:
    assert version(text) == found
