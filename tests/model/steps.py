"""Plays given steps in the model's world, an hour apart: for the cases that random sequences found."""

from tests.model import box, machine, world
from tests.model.play import Play
from tests.model.truth import Step

BACKUP: Step = ("backup", "ann", "files")
HOUR: Step = ("wait", 60)


def played(*steps: Step) -> Play:
    """Play steps after a first day, an hour between them; every step is held against the model."""
    now = world.begin()
    play = Play(now, machine.inventory(database=False), box.Box(now))
    for name, *arguments in (BACKUP, ("drill", "ann", "files"), *steps):
        play.wait(60)
        getattr(play, name)(*arguments)
    return play
