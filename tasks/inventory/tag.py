"""What apps are chosen by, beside their names."""


class Tag(str):
    """A tag, given in the place of an app's name: it stands for all apps that have it."""

    __slots__ = ()
