"""When everything is done: what is due now, what is due when, and what starts it."""

from dataclasses import dataclass

from invoke.context import Context

from tasks.cli import finish, flag, option, task
from tasks.options import Fleet, Shown


@dataclass(frozen=True, kw_only=True)
class NightlyOptions(Fleet, Shown):
    """Options of `nightly`."""

    dry_run: bool = flag("show what is due now, and do nothing")


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Shown):
    """Options of `schedule.show`."""


@dataclass(frozen=True, kw_only=True)
class InstallOptions:
    """Options of `schedule.install`."""

    cron: bool = flag("lines of cron in place of systemd's units")
    output: str = option("write to this folder (units), or file (lines), in place of printing", "")


@task()
def nightly(c: Context, options: NightlyOptions) -> None:
    """Do what is due now by the inventory's `schedule`: back up, check, verify, prune, with one notice and exit code.

    What was missed, or failed, is due until it was done, so the same command makes up for it.
    """
    import tasks.schedule.nightly as due_now
    from tasks.json_output import refuse_json
    from tasks.run.view import Telling

    if not options.dry_run:
        refuse_json(options.format, "several tasks run, each prints its own lines; with --dry-run it shows what is due")
    telling = Telling(options.quiet, options.verbose, options.as_json)
    chosen = due_now.Options(options.chosen, options.part or None, options.parallel, options.dry_run, telling)
    finish(due_now.run(c.config.inventory, chosen))


@task(name="show")
def show_schedule(c: Context, options: ShowOptions) -> None:
    """Show when each task is due, in this machine's zone."""
    import tasks.schedule.show as shown

    print(shown.run(c.config.inventory, as_json=options.as_json))


@task(name="install")
def install_schedule(c: Context, options: InstallOptions) -> None:
    """Print, or write, hardened systemd timers or cron lines that run what the schedule says. Starts nothing."""
    import tasks.schedule.install as units

    print(units.run(c.config.inventory, options.output, cron=options.cron))
