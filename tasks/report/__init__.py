"""The one report over all apps: gather, judge, then one writer for each format."""

from invoke.context import Context

from tasks.cli import confirm, finish, task
from tasks.report.options import AcceptOptions, HistoryOptions, ServeOptions, ShowOptions


@task(default=True)
def show(c: Context, options: ShowOptions) -> None:
    """Show all backups of all apps: what is there, how old, how large, and what is wrong."""
    import tasks.report.show as report_show

    chosen = report_show.Options(
        options.chosen,
        options.format,
        options.output,
        options.fresh,
        options.unproven,
        options.digest,
        options.strict,
        options.notify,
    )
    finish(report_show.run(c.config.inventory, chosen))


@task()
def serve(c: Context, options: ServeOptions) -> None:
    """Serve the report over HTTP until ended: metrics for Prometheus, and the page for people."""
    import tasks.report.serve as report_serve

    report_serve.run(
        c.config.inventory,
        report_serve.Options(
            options.host,
            options.port,
            options.interval,
            options.name,
            options.password,
            options.certificate,
            options.key,
        ),
    )


@task(name="accept")
def accept_state(c: Context, options: AcceptOptions) -> None:
    """Take an app's newest archives as right in spite of what stands against them, such as after a planned change."""
    from tasks.report import accept, accept_series

    def ask(question: str) -> bool:
        return confirm(question, yes=options.yes)

    if options.series or options.withdraw:
        named = accept_series.Options(options.app, options.reason, options.series, options.storage, options.withdraw)
        finish(accept_series.run(c.config.inventory, named, ask))
        return
    chosen = accept.Options(options.app, options.reason, options.source, options.storage)
    finish(accept.run(c.config.inventory, chosen, ask))


@task()
def history(c: Context, options: HistoryOptions) -> None:
    """Show what was done to apps, when, by whom and how it went, from any machine."""
    import tasks.report.history as report_history

    chosen = report_history.Options(
        options.chosen, options.storage, options.source, options.action, options.limit, options.as_json
    )
    finish(report_history.run(c.config.inventory, chosen))
