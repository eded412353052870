from __future__ import annotations

import pytest

from functions.ipf.runner.job import Execution
from functions.ipf.runner.verdict import judge
from shared.workflow.graph import Output, Processor

PROCESSOR = Processor(
    name="P",
    version="1",
    command=("p",),
    inputs=(),
    outputs=(Output(file_type="A"), Output(file_type="B", mandatory=False)),
    retry_exits=(130,),
)
ALL, NONE = ("A", "B"), ()


def line(kind: str, text: str) -> str:
    return f"2026-11-22T10:00:00.000000 host P 1 [0000000042]: [{kind}] {text}"


def ended(code: int = 0, **more: object) -> Execution:
    figures = {"seconds": 2.0, "cpu_seconds": 1.0, "peak_rss_mb": 10.0}
    return Execution.model_validate({"exit_code": code, **figures, **more})


@pytest.mark.parametrize(
    ("execution", "made", "status", "reason"),
    [
        (ended(0), ALL, "succeeded", ""),
        (ended(0), ("A",), "succeeded", ""),
        (ended(0), ("B",), "failed", "A"),
        (ended(0), NONE, "failed", "A"),
        (ended(1), ALL, "succeeded-with-warnings", ""),
        (ended(127), ("A",), "succeeded-with-warnings", ""),
        (ended(127), ("B",), "failed", "A"),
        (ended(5), NONE, "no-product", "exit code 5"),
        (ended(126), NONE, "infrastructure", "processor command p cannot be executed"),
        (ended(127), NONE, "infrastructure", "processor command p is not there"),
        (ended(128), ALL, "failed", "exit code 128"),
        (ended(255), NONE, "failed", "exit code 255"),
        (ended(130), ALL, "retry", "exit code 130"),
        (ended(143, timed_out=True), ALL, "retry", "DeadlineExceeded"),
        (ended(143, hung=True), ALL, "retry", "Hung: no output for"),
        (ended(137), ALL, "infrastructure", "signal 9"),
        (ended(137, out_of_memory=True), NONE, "infrastructure", "OOMKilled"),
        (ended(1, out_of_memory=True), ALL, "infrastructure", "OOMKilled"),
        (ended(143), NONE, "infrastructure", "signal 15"),
        (ended(129, disk_full=True), NONE, "infrastructure", "DiskFull"),
        (ended(0, disk_full=True), ALL, "succeeded", ""),
        (ended(139), ALL, "failed", "signal 11"),
    ],
)
def test_status_classes(execution: Execution, made: tuple[str, ...], status: str, reason: str) -> None:
    verdict = judge(PROCESSOR, execution, made, [])
    assert verdict.status == status
    assert reason in verdict.reason
    assert bool(verdict.reason) == (status not in {"succeeded", "succeeded-with-warnings"})


def test_a_full_disk_is_not_the_products_fault() -> None:
    log = [line("E", "[Errno 28] No space left on device: 'outputs/B02.jp2'")]
    verdict = judge(PROCESSOR, ended(129), NONE, log)
    assert verdict.status == "infrastructure"
    assert "outputs/B02.jp2" in verdict.reason


@pytest.mark.parametrize("said", ["Cannot allocate memory", "terminate called after throwing 'std::bad_alloc'"])
def test_who_says_that_memory_ran_out_gets_more(said: str) -> None:
    for code, made in ((131, ALL), (1, NONE), (134, NONE)):
        verdict = judge(PROCESSOR, ended(code), made, [line("I", "began"), line("E", said)])
        assert (verdict.status, verdict.reason) == ("infrastructure", "OOMKilled")
    assert judge(PROCESSOR, ended(1), ALL, [line("W", said)]).status == "succeeded-with-warnings"
    assert judge(PROCESSOR, ended(0), ALL, [line("W", said)]).status == "succeeded"


def test_out_of_memory_is_named_as_the_platform_names_it() -> None:
    assert judge(PROCESSOR, ended(137, out_of_memory=True), NONE, []).reason == "OOMKilled"


def test_a_processor_may_have_its_own_codes() -> None:
    processor = PROCESSOR.model_copy(update={"warning_exits": (10, 20)})
    assert judge(processor, ended(10), ALL, []).status == "succeeded-with-warnings"
    assert judge(processor, ended(9), ALL, []).status == "failed"


def test_the_reason_is_the_ipfs_own_word() -> None:
    log = [line("W", "odd"), line("E", "first"), line("E", "last"), line("I", "bye"), "Traceback"]
    assert judge(PROCESSOR, ended(128), NONE, log).reason == "exit code 128: last"
    assert judge(PROCESSOR, ended(128), NONE, log[:1]).reason == "exit code 128: odd"
    assert judge(PROCESSOR, ended(128), NONE, ["Segfault", ""]).reason == "exit code 128: Segfault"


def test_warnings_stay_with_the_product() -> None:
    log = [line("W", "3 packets lost"), line("W", "3 packets lost"), line("I", "fine"), line("W", "late")]
    verdict = judge(PROCESSOR, ended(2), ALL, log)
    assert verdict.warnings == ("exit code 2", "3 packets lost", "late")
    assert judge(PROCESSOR, ended(0), ALL, log).warnings == ("3 packets lost", "late")


def test_of_many_warnings_the_first_are_kept_which_tell_of_the_inputs() -> None:
    log = [line("W", str(number)) for number in range(500)]
    assert judge(PROCESSOR, ended(0), ALL, log).warnings == tuple(map(str, range(20)))
