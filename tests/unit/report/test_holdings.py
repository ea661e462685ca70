"""What an app's entry on the page says of its archives, and of the moments that can be brought back."""

from dataclasses import replace
from datetime import UTC

from tasks.records.record import Records
from tasks.report.formats import Look, write
from tasks.report.holdings import NEWEST, holdings
from tasks.report.judge import Evidence
from tasks.report.page.view import view
from tests.unit.report.fleet import fleet
from tests.unit.report.support import NOW, SHOP, ago, archive, saved


def test_the_newest_archives_have_their_verdicts_and_drills() -> None:
    made = [archive(ago(days=day)) for day in range(NEWEST + 3)]
    drilled = replace(saved(made[1]), action="verify", time=ago(hours=1))
    lacking = saved(made[0], "warning", details={"left_out": {"count": 2, "first": []}})
    told = Records((*(saved(each) for each in made[2:-1]), saved(made[1]), drilled, lacking))

    found = holdings([SHOP], Evidence(made, told), NOW)

    assert [each.name for each in found.newest] == [each.name for each in made[:NEWEST]]
    assert (found.count, found.since) == (NEWEST + 3, None)
    assert [each.status for each in found.newest[:3]] == ["incomplete", "ok", "ok"]
    assert [each.proven for each in found.newest[:3]] == [False, True, False]
    oldest = holdings([SHOP], Evidence(made[-1:], told), NOW).newest[0]
    assert oldest.status == "unknown"  # no record tells of it


def test_the_page_names_them_with_the_window_and_the_commands() -> None:
    report = fleet()
    (shop,) = (each for each in view(report, Look(zone=UTC)).apps if each.name == "shop")
    (repository,) = shop.repositories

    assert len(repository.archives) == NEWEST
    assert repository.older > 0
    assert repository.window.startswith("23 Sep 02:54")
    assert ("ask a backup by SQL", "inv mariadb.open --app shop") in shop.commands
    page = write(report, "html", Look(zone=UTC))
    assert f"<td>{repository.archives[0].name}</td>" in page
    assert f"any moment from {repository.window} can be brought back" in page
    assert f"and {repository.older} older" in page
