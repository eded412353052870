"""Few tasks run in the caller's thread, many in threads; either way errors come to whoever asks."""

from __future__ import annotations

import threading

import pytest

from shared.parallel import FEW, one_after_the_other, pool_of


@pytest.mark.parametrize("tasks", [0, 1, FEW, FEW + 1, 50])
def test_results_come_in_order(tasks: int) -> None:
    with pool_of(4, tasks) as pool:
        assert list(pool.map(lambda n: n * n, range(tasks))) == [n * n for n in range(tasks)]


def test_few_tasks_start_no_thread() -> None:
    with pool_of(4, FEW) as pool:
        assert pool.submit(threading.current_thread).result() is threading.current_thread()
    with pool_of(4, FEW + 1) as pool:
        assert pool.submit(threading.current_thread).result() is not threading.current_thread()


@pytest.mark.parametrize("tasks", [1, 9])
def test_an_error_is_the_callers(tasks: int) -> None:
    with pool_of(4, tasks) as pool:
        future = pool.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            future.result()


def test_threads_can_be_done_without() -> None:
    with one_after_the_other(), pool_of(4, 9) as pool:
        assert pool.submit(threading.current_thread).result() is threading.current_thread()
    with pool_of(4, 9) as pool:
        assert pool.submit(threading.current_thread).result() is not threading.current_thread()


def test_without_threads_all_is_done_before_the_first_result_and_an_error_comes_in_its_turn() -> None:
    done: list[int] = []

    def inverse(number: int) -> float:
        done.append(number)
        return 1 / number

    with one_after_the_other(), pool_of(4, 9) as pool:
        found = pool.map(inverse, [1, 2, 0, 4])
        assert done == [1, 2, 0, 4]
        assert [next(found), next(found)] == [1.0, 0.5]
        with pytest.raises(ZeroDivisionError):
            next(found)
        with pytest.raises(StopIteration):
            next(found)


@pytest.mark.parametrize("tasks", [1, 9])
def test_the_shortest_of_several_arguments_says_how_many(tasks: int) -> None:
    with pool_of(4, tasks) as pool:
        assert list(pool.map(pow, [2, 3, 4], [1, 2])) == [2, 9]
