"""A property that threads share."""

from __future__ import annotations

from threading import Thread

from coatcheck._values.locked_property import locked_cached_property


class Owner:
    """Counts how often its property is made; a second thread reads it meanwhile."""

    def __init__(self) -> None:
        self.count = 0
        self.read: list[int] = []
        self.thread = Thread(target=lambda: self.read.append(self.opened))

    @locked_cached_property
    def opened(self) -> int:
        """The number of the call that made it."""
        self.count += 1
        if self.count == 1:
            self.thread.start()
            self.thread.join(0.05)  # without a lock the thread would make another value now
        return self.count


def test_a_value_is_made_once_for_all_threads() -> None:
    """A thread that reads the property while another one makes it waits for that value."""
    owner = Owner()
    values = [owner.opened, owner.opened]
    owner.thread.join()

    assert ([1, 1], [1]) == (values, owner.read)


def test_each_object_has_its_value_and_can_make_it_again() -> None:
    """It is kept in the object's dictionary."""
    owner, other = Owner(), Owner()
    owner.count = other.count = 1
    before = (owner.opened, other.opened)
    del owner.__dict__["opened"]

    assert ((2, 2), 3, 2, "The number of the call that made it.") == (
        before,
        owner.opened,
        other.opened,
        Owner.opened.__doc__,
    )
