"""A host's name among borg's clients: that of one machine and PID namespace, whatever the machine says of itself."""

import pytest

from tasks.remote.facts import parse_facts, parse_tools

ID, BOOT = "0123456789abcdef0123456789abcdef", "5a1e4f0c-7c35-4a9b-8a57-2f6f6c1d9a11"
SPACE = "pid:[4026531836]"


def machine(*lines: str) -> str:
    return parse_facts("\n".join(("hostname=web", f"processes={SPACE}", *lines))).machine


def test_a_machine_id_names_it_across_boots() -> None:
    assert machine(f"machine={ID}", f"boot={BOOT}") == f"web-{ID}-pid-4026531836"


@pytest.mark.parametrize("said", ["", "machine=", "machine=uninitialized", f"machine={'0' * 32}", "machine=b08dfa60"])
def test_without_one_two_machines_of_a_name_differ(said: str) -> None:
    """In the first PID namespace of each, borg would take the other's lock for that of a process that is gone."""
    assert machine(said, f"boot={BOOT}") == f"web-{BOOT}-pid-4026531836"
    assert machine(said) != machine(said)


def test_a_program_that_does_not_start_has_no_version() -> None:
    lost = "python3: error while loading shared libraries: libpython3.8.so.1.0: cannot open shared object file"
    told = parse_tools(f"borg=borg 1.2.4\npython3={lost}\nrclone=rclone v1.60.1-DEV\n")
    assert (told.borg, told.python3, told.python3_said, told.rclone) == ("1.2.4", None, lost, "1.60.1")
    assert parse_tools("python3=Python 3.8.18\n").python3 == "3.8.18"
