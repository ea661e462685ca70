"""What pip installs is named by version and by the hashes of its files, and is what the `.in` files ask for."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
FILES = ("requirements", "requirements-lab", "requirements-dev")


def pins(file: str) -> dict[str, tuple[str, list[str]]]:
    """Return version and hashes of each package in a compiled file, by its normal name."""
    found: dict[str, tuple[str, list[str]]] = {}
    for block in re.split(r"\n(?=\S)", (CHECKOUT / f"{file}.txt").read_text()):
        if block.startswith("#"):
            continue
        head = re.match(r"([\w.-]+)==([\w.]+)", block)
        assert head, f"{file}.txt: not pinned: {block.splitlines()[0]}"
        found[normal(head[1])] = head[2], re.findall(r"--hash=sha256:([0-9a-f]{64})\b", block)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("file", FILES)
def test_every_package_is_pinned_with_hashes_and_each_wish_is_met(file: str) -> None:
    pinned = pins(file)
    assert all(hashes for _, hashes in pinned.values())
    wishes = [line.split("==") for line in (CHECKOUT / f"{file}.in").read_text().splitlines() if "==" in line]
    assert {normal(name): version for name, version in wishes} == {
        normal(name): pinned[normal(name)][0] for name, _ in wishes
    }


def test_one_version_of_each_package_in_all_files() -> None:
    versions: dict[str, set[str]] = {}
    for file in FILES:
        for name, (version, _) in pins(file).items():
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_the_product_does_not_install_what_only_the_lab_needs() -> None:
    assert "asyncssh" not in pins("requirements")
    assert "asyncssh" in pins("requirements-lab")


def test_image_bases_and_ci_actions_are_named_by_what_they_hold() -> None:
    bases = re.findall(r"^ARG BASE_\d+=(\S+)$", (CHECKOUT / "Dockerfile").read_text(), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"debian:1[23]-slim@sha256:[0-9a-f]{64}", base) for base in bases)
    workflows = [*(CHECKOUT / "examples/ci").glob("github*.yml"), *(CHECKOUT / ".github/workflows").glob("*.yml")]
    actions = [each for file in workflows for each in re.findall(r"uses: (\S+)", file.read_text())]
    assert len(actions) > 5
    assert [each for each in actions if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", each)] == []
