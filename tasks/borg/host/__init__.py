"""Programs that run on hosts, sent by `tasks.remote.program`: standard library only, Python 3.8 and later."""
