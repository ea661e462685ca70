"""What ssh and its files say is read typed and bounded: whatever stands in them, nothing but HostError comes of it."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.remote import known_hosts
from tasks.remote.address import bracketed, known_name, split_account
from tasks.remote.openssh import ASKED, PLAIN, answered
from tasks.remote.running import HostError
from tasks.remote.ssh_settings import LONGEST, USED, Hop, hops, read

WORDS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\n"), max_size=60)
LINES = st.lists(st.tuples(st.sampled_from([*sorted(USED), "stricthostkeychecking"]), WORDS), max_size=20)


@given(LINES)
def test_no_answer_of_ssh_is_a_traceback(lines: list[tuple[str, str]]) -> None:
    with suppress(HostError):
        read("\n".join(f"{key} {value}" for key, value in lines), "crm")


@given(st.text(max_size=200))
def test_no_line_of_known_hosts_is_a_traceback(line: str) -> None:
    known = known_hosts.read_line(line)
    if known is not None:
        assert known_hosts.judge([known], "crm", known.kind, known.blob) in ("right", "unknown", "revoked")


@given(st.text(max_size=80))
def test_no_jump_is_a_traceback(text: str) -> None:
    assert all(hop.port <= 99999 for hop in hops(text))


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("u@b:22,[::1]:2200,x@y", (Hop("b", "u", 22), Hop("::1", "", 2200), Hop("y", "x"))),
        ("ssh://x@y:33/", (Hop("y", "x", 33),)),
        ("a@b@c", (Hop("c", "a@b"),)),
        ("fe80::1", (Hop("fe80::1"),)),
        ("", ()),
    ],
)
def test_chains_are_read_as_ssh_writes_them(text: str, chain: tuple[Hop, ...]) -> None:
    assert hops(text) == chain


def test_settings_have_their_tokens_replaced() -> None:
    said = "hostname h\nport 23\nuser u\nidentityfile /k/%h-%p-%r-%n-%%\nhostkeyalias a\nuserknownhostsfile /f/%k /g\n"
    known = read(said + "identityagent none\nproxycommand nc %h %p\nconnecttimeout none\n", "crm")
    assert known.identities == (Path("/k/h-23-u-crm-%"),)
    assert known.known_hosts == (Path("/f/a"), Path("/g"))
    assert (known.command, known.agent, known.timeout) == ("nc h 23", None, 20.0)
    with pytest.raises(HostError, match="%C"):
        read("proxycommand nc %C", "crm")
    with pytest.raises(HostError, match="no number"):
        read("port all", "crm")
    assert read(f"hostname {'x' * (LONGEST + 1)}", "crm").hostname == "crm"


def test_a_jump_goes_before_a_proxy_command() -> None:
    known = read("proxyjump b\nproxycommand nc %h %p", "crm")
    assert (known.jump, known.command) == ((Hop("b"),), "")


@pytest.mark.parametrize(
    ("target", "parts"),
    [("root@[::1]", ("root", "::1")), ("::1", ("", "::1")), ("a@b@c", ("a@b", "c")), ("crm", ("", "crm"))],
)
def test_accounts_and_hosts_part(target: str, parts: tuple[str, str]) -> None:
    assert split_account(target) == parts


def test_one_rule_for_brackets() -> None:
    assert [bracketed(each) for each in ("::1", "[::1]", "crm")] == ["[::1]", "[::1]", "crm"]
    assert [known_name("[::1]", 22), known_name("::1", 23), known_name("crm", 23)] == ["::1", "[::1]:23", "[crm]:23"]


@given(st.dictionaries(st.sampled_from(["ssh", *(f"ssh_{number}" for number in range(9))]), WORDS))
def test_whatever_a_host_says_of_its_ssh_only_what_we_know_is_used(said: dict[str, str]) -> None:
    found = answered(said)
    assert found.knows <= set(ASKED)
    assert set(PLAIN) <= set(found.options()) <= {*PLAIN, *ASKED}
    assert found.version is None or len(found.version) < 25
