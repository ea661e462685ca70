"""An operator's process that is gone at some step: nothing that should happen at its end does."""


class Killed(BaseException):
    """The process is gone."""


def dies(*_: object, **__: object) -> None:
    """Stand in for the step before which the process is gone."""
    raise Killed
