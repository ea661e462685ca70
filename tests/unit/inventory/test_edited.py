"""One key of an app's file changes, and nothing else."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import AppError
from tasks.inventory.edited import with_key

TEXT = """\
# the shop
host: root@shop  # rented
files:
  paths: [/srv/shop]  # all of it
  exclude:
  - '*.tmp'

# who is told
notify: []
"""


def test_comments_and_other_lines_stay() -> None:
    assert with_key(TEXT, "host", "root@new") == TEXT.replace("root@shop", "root@new")
    assert with_key(TEXT, "formerly", ["old"]) == TEXT + "formerly: [old]\n"
    changed = with_key(TEXT, "files", {"paths": ["/a"]})
    assert changed == "# the shop\nhost: root@shop  # rented\nfiles: {paths: [/a]}\n\n# who is told\nnotify: []\n"
    assert with_key(TEXT, "nothing", None) == TEXT
    assert "notify" not in with_key(TEXT, "notify", None)


def test_what_would_change_more_is_refused() -> None:
    for text in ("{host: a}\n", "host: &h a\nother: *h\n"):
        with pytest.raises(AppError, match="`host` cannot be changed"):
            with_key(text, "host", "b")


KEYS = st.sampled_from(["host", "files", "ssh", "x"])
VALUES = st.recursive(
    st.one_of(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])), st.integers(), st.booleans()),
    lambda each: st.one_of(st.lists(each, max_size=3), st.dictionaries(st.text("abc", min_size=1), each, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(KEYS, VALUES, min_size=1), KEYS, VALUES)
def test_it_is_that_key_alone(values: dict[str, object], key: str, value: object) -> None:
    text = yaml.safe_dump(values, default_flow_style=False, allow_unicode=True)
    assert yaml.safe_load(with_key(text, key, value)) == {**values, key: value}  # type: ignore[arg-type]
