"""Run a script of this machine, read what it says as borg's listing, and print the error and by how many MiB we grew."""

import resource
import sys

from tasks.answers import AnswerError, read
from tasks.borg.client.list import _Listed
from tasks.borg.client.runner import _listener
from tasks.remote.host import LocalHost
from tasks.remote.running import FloodError
from tasks.remote.script import Script


def grown() -> int:
    """Return the most memory that this process ever had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    LocalHost().run(Script("echo nothing"), on_stderr=_listener(print))
    before, said = grown(), ""
    try:
        read(_Listed, LocalHost().run(Script(sys.argv[1]), on_stderr=_listener(print)).stdout)
    except (AnswerError, FloodError) as error:
        said = str(error).splitlines()[0]
    print(said)
    print(grown() - before)
