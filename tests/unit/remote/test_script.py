"""Words stay words: bash itself is asked, since it is what must understand them."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.remote.host import LocalHost
from tasks.remote.script import Script, pipe, quote, render

WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def bash(text: str | bytes) -> subprocess.CompletedProcess[bytes]:
    # a session of its own: at the end of its input a script ends its whole process group
    data = text.encode() if isinstance(text, str) else text
    words = ["bash", "-o", "pipefail", "-s"]
    return subprocess.run(words, input=data, capture_output=True, check=False, start_new_session=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(WORD, min_size=1, max_size=5))
def test_every_word_arrives_as_it_is(words: list[str]) -> None:
    assert bash(quote(("printf", "%s\\0", *words))).stdout.decode() == "".join(word + "\0" for word in words)


@settings(max_examples=40, deadline=None)
@given(WORD)
def test_every_value_of_the_environment_arrives_as_it_is(value: str) -> None:
    assert LocalHost().run(Script('printf %s "$VALUE"', {"VALUE": value})).stdout.decode() == value


def test_a_pipe_fails_when_any_member_fails() -> None:
    for members in ([("false",), ("cat",)], [("true",), ("false",), ("cat",)], [("true",), ("false",)]):
        assert bash(pipe(*members)).returncode != 0
    assert bash(pipe(("echo", "a"), ("cat",))).stdout == b"a\n"


def test_a_script_cut_anywhere_runs_nothing(tmp_path: object) -> None:
    touched = f"{tmp_path}/touched"
    text = render(Script(quote(("touch", touched)))).text
    for cut in range(0, len(text) - len("main; exit $?\n"), 7):
        bash(text[:cut])
        assert bash(quote(("test", "-e", touched))).returncode == 1, text[:cut]
    assert LocalHost().run(Script(quote(("touch", touched)))).ok
    assert bash(quote(("test", "-e", touched))).returncode == 0


def test_a_script_uses_no_here_document() -> None:
    assert b"<<" not in render(Script("true", {"X": "y"})).text


def test_start_files_that_ask_a_question_take_no_line_of_the_script() -> None:
    asking = ("bash", "-c", "read -r answer; exec bash --noprofile --norc -s")
    with subprocess.Popen(asking, stdin=-1, stdout=-1, stderr=-1, start_new_session=True) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write(render(Script("echo done")).text)
        program.stdin.flush()
        assert b"\ndone\n" in program.stdout.read()
        assert b"syntax" not in program.stderr.read()
    assert program.returncode == 0
