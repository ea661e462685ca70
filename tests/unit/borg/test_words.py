"""The words of each verb: nothing that a person wrote is taken for an option, and nothing is deleted by accident."""

import pytest

from tasks.borg.client.check import CheckOptions, check_words
from tasks.borg.client.create import FilesOptions, StreamOptions, create_words, literal
from tasks.borg.client.delete import delete_words
from tasks.borg.client.diff import diff_words
from tasks.borg.client.extract import ExtractOptions, extract_words
from tasks.borg.client.list import contents_words
from tasks.errors import UsageError
from tasks.remote.script import Stream


def test_files() -> None:
    options = FilesOptions("a", ("/srv/shop", "/-x"), exclude=("-rf", "*/cache"), compression="zstd,3", comment="{x}")
    assert create_words(options) == (
        "create",
        "--json",
        "--compression=zstd,3",
        "--checkpoint-interval=1800",
        "--comment={{x}}",
        "--numeric-ids",
        "--one-file-system",
        "--exclude-caches",
        "--keep-exclude-tags",
        "--exclude=-rf",
        "--exclude=*/cache",
        "::a",
        "--",
        "/srv/shop",
        "/-x",
    )


def test_stream() -> None:
    words = create_words(StreamOptions("a", Stream("x | y"), "shop.mbstream", 16384))
    assert "--chunker-params=fixed,16384" in words
    assert "--files-cache=disabled" in words
    assert words[words.index("--") - 1 :] == (
        *("::a", "--", "env", "-u", "BORG_PASSPHRASE"),
        *("bash", "-o", "pipefail", "-c", "x | y"),
    )
    assert not any("chunker" in word for word in create_words(StreamOptions("a", Stream("x"), "n")))


def test_paths_stand_after_the_end_of_options() -> None:
    for words in (
        extract_words(ExtractOptions("a", ("/-x",))),
        contents_words("a", ("/-x",)),
        diff_words("a", "b", ("/-x",)),
    ):
        assert words[-2:] == ("--", "pp:-x")


def test_a_delete_names_archives() -> None:
    assert delete_words(("a", "b")) == ("delete", "::a", "b")
    for names in ((), ("",), ("a", "")):
        with pytest.raises(UsageError):
            delete_words(names)


def test_checks_that_exclude_each_other_are_refused() -> None:
    assert check_words(CheckOptions(max_duration=600)) == ("check", "--repository-only", "--max-duration=600")
    for options in (CheckOptions(max_duration=5, verify_data=True), CheckOptions(repository_only=True, last=1)):
        with pytest.raises(UsageError, match="does not go with"):
            check_words(options)


def test_a_comment_has_no_placeholders() -> None:
    assert literal('{"a": {"b": 1}}').format() == '{"a": {"b": 1}}'
