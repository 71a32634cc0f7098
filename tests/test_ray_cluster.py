"""Distribution of calls, on a stand-in for Ray whose calls finish at once."""

from types import SimpleNamespace

import pytest

from lssed_hf.ray_cluster import work_off


class TaskError(Exception):
    """Stand-in for Ray's error, whose cause is the exception that a call raised."""

    def __init__(self, cause):
        self.cause = cause


class WorkerDied(Exception):
    pass


class Reference:
    def __init__(self, function=lambda: None, done=True):
        self.function, self.done, self.cancelled = function, done, False


class Slot:
    def __init__(self, function=lambda item: item):
        self.function, self.given = function, []

    def remote(self, item):
        self.given.append(item)
        return Reference(lambda: self.function(item))


ray = SimpleNamespace(
    wait=lambda references, num_returns: ([next(ref for ref in references if ref.done)], None),
    get=lambda reference: reference.function(),
    cancel=lambda reference: setattr(reference, "cancelled", True),
    exceptions=SimpleNamespace(RayTaskError=TaskError, RayError=WorkerDied),
)


def describe(item: int) -> str:
    return f"item {item:d}"


def fails_with(error):
    def function(item):
        raise error

    return function


def test_every_item_is_done_once():
    slots = [Slot(lambda item: 2 * item) for _ in range(3)]
    found = list(work_off(ray, {Reference(): slot for slot in slots}, range(10), describe))
    assert sorted(found) == [(number, 2 * number) for number in range(10)]
    assert sorted(item for slot in slots for item in slot.given) == list(range(10))


def test_a_slot_that_is_never_ready_gets_nothing_and_holds_nothing_up():
    here, never = Slot(), Slot()
    found = list(work_off(ray, {Reference(done=False): never, Reference(): here}, range(4), describe))
    assert [item for item, _ in found] == here.given == [0, 1, 2, 3]
    assert never.given == []


def test_no_more_is_under_way_than_there_are_slots():
    drawn = []
    items = (drawn.append(number) or number for number in range(100))
    results = work_off(ray, {Reference(): Slot() for _ in range(4)}, items, describe)
    for done in range(1, 21):
        next(results)
        assert len(drawn) <= done + 5
    results.close()


def test_no_items():
    assert list(work_off(ray, {Reference(done=False): Slot()}, [], describe)) == []


def test_what_a_call_raises_is_raised():
    slots = {Reference(): Slot(fails_with(TaskError(ValueError("odd"))))}
    with pytest.raises(ValueError, match="odd"):
        list(work_off(ray, slots, range(3), describe))


def test_what_was_given_up_is_named():
    slots = {Reference(): Slot(fails_with(WorkerDied()))}
    with pytest.raises(OSError, match=r"item 0: given up \(WorkerDied\)"):
        list(work_off(ray, slots, range(3), describe))
