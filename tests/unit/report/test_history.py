"""Records as a table for people."""

from dataclasses import replace
from datetime import timedelta

from tasks.report.history import Entry, Options, as_values, chosen, lines
from tests.unit.report.support import NOW, ago, archive, failed, saved

NEW = archive(ago(hours=1))
SAVED = Entry("shop", saved(NEW, operator="anna@laptop"))
PRUNED = Entry(
    "shop",
    replace(failed(ago(hours=2), None, action="prune", source=None), outcome="ok", details={"forced": ["it is late"]}),
)
BROKEN = Entry("shop on far", failed(ago(hours=3), "no\nspace \x1b[2J"))
INTENT = Entry("shop", failed(ago(hours=2), None, action="intent", source=None))


def test_a_record_is_a_line_and_what_went_wrong_stands_below() -> None:
    text = list(lines(chosen([SAVED, PRUNED, BROKEN, INTENT], Options()), NOW + timedelta(days=1)))
    assert [" ".join(line.split()[4:9]) for line in text[1:] if not line.startswith("      ")] == [
        "shop on far backup files",
        "shop prune ok",
        "shop backup files ok 0:07",
    ]
    assert [line.strip() for line in text if line.startswith("      ")] == [
        "no space \\u001b[2J",
        "forced, although it is late",
    ]
    assert text[-1].endswith("ok         0:07    1.1 GB  90 MB    " + NEW.name + "  anna@laptop")


def test_records_are_chosen_by_source_action_and_number() -> None:
    assert chosen([SAVED, PRUNED, BROKEN], Options(source="files")) == [BROKEN, SAVED]
    assert chosen([SAVED, PRUNED, BROKEN], Options(action="prune")) == [PRUNED]
    assert chosen([SAVED, PRUNED, BROKEN], Options(limit=1)) == [SAVED]
    assert list(lines([], NOW)) == ["no records"]


def test_programs_read_the_present_name_of_a_renamed_app() -> None:
    assert as_values(SAVED)["app"] == "shop"
    assert as_values(replace(SAVED, label="store on far", storage="far", app="store"))["app"] == "store"
