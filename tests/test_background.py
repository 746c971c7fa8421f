"""Threads that read ahead and write behind: order, errors, and end."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from bulk_sync.background import BackgroundTasks, prefetch


def numbers(broken_at: int | None = None) -> Iterator[int]:
    for number in range(5):
        if number == broken_at:
            raise OSError("damaged")
        yield number


def test_items_come_in_their_order_and_one_is_made_while_another_is_used() -> None:
    is_made = threading.Event()

    def items() -> Iterator[int]:
        yield 0
        is_made.set()
        yield 1

    read = []
    for item in prefetch(items()):
        assert is_made.wait(60)
        read.append(item)
    assert read == [0, 1]
    assert list(prefetch(numbers())) == [0, 1, 2, 3, 4]


def test_an_error_of_the_thread_is_raised_in_the_order_of_items() -> None:
    items = prefetch(numbers(broken_at=3))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="damaged"):
        next(items)


def test_the_thread_ends_with_a_reader_that_stops_early() -> None:
    before = threading.active_count()
    with closing(prefetch(numbers())) as items:
        next(items)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before


def test_two_tasks_are_at_work_and_the_third_waits() -> None:
    may_end, begun = threading.Event(), list[int]()

    def work(number: int) -> None:
        begun.append(number)
        assert number == 2 or may_end.wait(60)

    with BackgroundTasks() as tasks:
        tasks.do(lambda: work(0))
        tasks.do(lambda: work(1))
        threading.Timer(0, may_end.set).start()
        tasks.do(lambda: work(2))
        assert may_end.is_set()
        tasks.wait()
    assert sorted(begun) == [0, 1, 2]


def test_an_error_of_a_task_is_raised_by_a_later_call_and_the_others_are_done() -> None:
    def fail() -> None:
        raise OSError("no room")

    done = list[int]()
    with BackgroundTasks() as tasks:
        tasks.do(fail)
        tasks.do(lambda: done.append(1))
        with pytest.raises(OSError, match="no room"):
            tasks.wait()
        tasks.wait()
    assert done == [1]
