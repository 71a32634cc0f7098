"""Distribution of calls, on a stand-in for Ray whose calls finish at once."""

from collections import deque
from types import SimpleNamespace

import pytest

from lssed_hf.ray_cluster import RETRIES, NoMachineError, work_off


class TaskError(Exception):
    """Stand-in for Ray's error, whose cause is the exception that a call raised."""

    def __init__(self, cause):
        self.cause = cause


class WorkerDied(Exception):
    pass


class Reference:
    def __init__(self, function=lambda: None, done=True):
        self.function, self.done, self.cancelled = function, done, False


class Workers:
    """Stand-in for a cluster: workers by their number, each of which keeps what it was given.

    Args:
        function: Function of the number of a worker and of an item, None at the start.
        never: Numbers of workers that are never ready.
        machines: Number of machines with a CPU each time they are counted; the last one stays.
    """

    def __init__(self, function=lambda worker, item: item, never=(), machines=(1,)):
        self.function, self.never, self.machines = function, never, deque(machines)
        self.given: list[list] = []
        self.references: list[Reference] = []
        self.exceptions = SimpleNamespace(RayTaskError=TaskError, RayError=WorkerDied)

    def start(self):
        number = len(self.given)
        self.given.append([])

        def give(item):
            self.given[number].append(item)
            return self._call(lambda: self.function(number, item))

        return self._call(lambda: self.function(number, None), done=number not in self.never), give

    def _call(self, function, done=True):
        self.references.append(Reference(function, done))
        return self.references[-1]

    def wait(self, references, num_returns, timeout):
        assert timeout
        return [reference for reference in references if reference.done][:1], None

    def get(self, reference):
        return reference.function()

    def cancel(self, reference):
        reference.cancelled = True

    def nodes(self):
        machines = self.machines.popleft() if len(self.machines) > 1 else self.machines[0]
        return [{"Alive": True, "Resources": {"CPU": 1.0}}] * machines + [{"Alive": False, "Resources": {"CPU": 8.0}}]

    def work_off(self, num_workers, items):
        return work_off(self, self.start, num_workers, items, lambda item: f"item {item}")

    def results(self, num_workers, items):
        return [(item, result) for item, result in self.work_off(num_workers, deque(items)) if item is not None]


def fails(error, workers=range(1000), item=None):
    """Return a function of a worker and an item that raises an error for some workers, at one item or at all."""

    def function(worker, given):
        if worker in workers and given is not None and item in (None, given):
            raise error
        return given

    return function


def test_every_item_is_done_once():
    workers = Workers(lambda _, item: item and 2 * item)
    assert sorted(workers.results(3, range(1, 11))) == [(number, 2 * number) for number in range(1, 11)]
    assert sorted(item for given in workers.given for item in given) == list(range(1, 11))


def test_the_start_of_a_worker_has_a_result():
    assert next(Workers(lambda worker, item: f"worker {worker}").work_off(2, deque([1]))) == (None, "worker 0")


def test_a_worker_that_is_never_ready_gets_nothing_and_holds_nothing_up():
    workers = Workers(never=[0])
    assert [item for item, _ in workers.results(2, range(4))] == [0, 1, 2, 3]
    assert workers.given == [[], [0, 1, 2, 3]]


def test_no_more_is_under_way_than_there_are_workers():
    items = deque(range(100))
    results = Workers().work_off(4, items)
    finished = 0
    for item, _ in results:
        finished += item is not None
        assert 100 - len(items) <= finished + 5
        if finished == 20:
            break
    results.close()


def test_calls_under_way_are_cancelled():
    workers = Workers()
    results = workers.work_off(2, deque(range(9)))
    for _ in range(4):
        next(results)
    results.close()
    assert any(reference.cancelled for reference in workers.references)


def test_no_items():
    assert Workers(never=[0]).results(1, []) == []


def test_what_a_call_raises_is_raised():
    with pytest.raises(ValueError, match="odd"):
        Workers(fails(TaskError(ValueError("odd")))).results(1, range(3))


def test_items_of_a_dead_worker_go_to_the_others():
    workers = Workers(fails(WorkerDied(), workers=[1]), never=[3])
    assert sorted(workers.results(3, range(10))) == [(number, number) for number in range(10)]
    assert len(workers.given) == 4 and len(workers.given[1]) == 1  # another was started in its place


def test_an_item_that_kills_every_worker_costs_no_other_item():
    workers = Workers(fails(WorkerDied(), item=3))
    results = dict(workers.results(2, range(6)))
    error = results.pop(3)
    assert isinstance(error, OSError) and "item 3: given up (WorkerDied)" in str(error)
    assert results == {number: number for number in (0, 1, 2, 4, 5)}
    assert sum(given.count(3) for given in workers.given) == RETRIES + 1


def test_items_may_be_added_for_one_that_was_given_up():
    items, found = deque(["ab"]), []
    for item, result in Workers(fails(WorkerDied(), item="ab")).work_off(1, items):
        if isinstance(result, OSError):
            items.extend(item)
        elif item is not None:
            found.append(item)
    assert found == ["a", "b"]


def test_workers_that_die_at_their_start():
    def dies(worker, item):
        if item is None and worker != 1:
            raise WorkerDied
        return item

    assert Workers(dies).results(2, range(4)) == [(number, number) for number in range(4)]
    with pytest.raises(OSError, match=r"item None: given up \(WorkerDied\)"):
        Workers(lambda worker, item: dies(0, item)).results(2, range(4))


def test_the_last_machine_is_gone():
    with pytest.raises(NoMachineError, match=r"no machine of the Ray cluster is left .* let one join"):
        Workers(never=[0], machines=[1, 1, 0]).results(1, range(4))


def test_machines_are_going_to_join():
    class Joining(Workers):
        def wait(self, references, num_returns, timeout):
            finished = super().wait(references, num_returns, timeout)
            for reference in references:
                reference.done = True
            return finished

    assert Joining(never=[0], machines=[0]).results(1, range(2)) == [(0, 0), (1, 1)]
