"""Runs many borg commands in one process that imports borg once: by borg's own Python, JSON in and out.

Input: a list of `{"words": [...], "environment": {...}, "folder": "..."}`. Output: a list of `[exit code, stdout, stderr]`.
"""

import json
import os
import sys
import tempfile
from typing import Any

import borg.archiver


def run(command: dict[str, Any]) -> tuple[int, str, str]:
    """Run one command in a child and return what it gave."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(out.fileno(), 1)
                os.dup2(err.fileno(), 2)
                os.chdir(command["folder"])
                os.environ.update(command["environment"])
                sys.argv = ["borg", *command["words"]]
                borg.archiver.main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 98
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
        return code, texts[0], texts[1]


print(json.dumps([run(command) for command in json.load(sys.stdin)]))
