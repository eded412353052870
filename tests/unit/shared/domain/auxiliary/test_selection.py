from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.auxiliary.table import load_types
from shared.domain.auxiliary.decision import AuxiliaryDecision, WaitRule, WaitRules, decide
from shared.domain.auxiliary.names import BANDS, AuxiliaryName
from shared.domain.auxiliary.policies import Window
from shared.domain.auxiliary.selection import TOLD, AuxiliarySet, Requirement, requirements, select
from shared.errors import ConfigurationError
from tests.support.auxiliary import day, named

TABLE = load_types()
WINDOW = Window(day(1), day(1.01))


def by_type(*names: AuxiliaryName) -> dict[str, list[AuxiliaryName]]:
    found: dict[str, list[AuxiliaryName]] = {}
    for name in names:
        found.setdefault(name.type, []).append(name)
    return found


def chosen(found: AuxiliarySet) -> dict[str, tuple[str, ...]]:
    return {str(choice.requirement): choice.chosen for choice in found.choices}


def whole(job: str, satellite: str = "S2A") -> list[AuxiliaryName]:
    """One good file for each requirement of a job."""
    names = []
    for wanted in requirements(TABLE, job):
        kind = TABLE.find(wanted.type)
        assert kind is not None
        band = wanted.band or ("00" if kind.band_named else None)
        of = satellite if kind.unit_dependent else "S2_"
        names.append(named(wanted.type, satellite=of, band=band))
    return names


# the table ----------------------------------------------------------------------------------------------------
def test_the_table_holds_the_forty_eight_types() -> None:
    assert len(TABLE.types) == 48
    dependent = [kind.name.removeprefix("GIP_") for kind in TABLE.types if kind.band_dependent]
    assert dependent == ["VIEDIR", "R2DECT", "R2DEFI", "R2DENT", "R2EOB2", "R2EQOG", "R2L2NC", "R2MACO", "R2WAFI"]
    assert {kind.rule for kind in TABLE.types} == {"LatestValCover"}
    of_all = {kind.name for kind in TABLE.types if not kind.unit_dependent}
    assert of_all == {"AUX_UT1UTC", "AUX_ECMWFD", "AUX_CAMSFO", "GIP_EARMOD", "GIP_PROBA2"} | {
        f"GIP_L2AC{end}" for end in ("AC", "SC", "FG")
    }


@pytest.mark.parametrize(("job", "types", "files"), [("l0u", 4, 4), ("l0c", 14, 26), ("l1", 42, 150), ("l2", 6, 6)])
def test_a_job_takes_so_many_types_and_files(job: str, types: int, files: int) -> None:
    wanted = requirements(TABLE, job)
    assert len({each.type for each in wanted}) == types
    assert len(wanted) == files


def test_a_job_that_the_table_does_not_know_is_a_wrong_configuration() -> None:
    with pytest.raises(ConfigurationError, match="l0u, l0c, l1, l2"):
        requirements(TABLE, "l3")


@pytest.mark.parametrize(
    ("text", "named_field"),
    [
        ("types: [{name: GIP_VIEDIR, levels: [L9]}]\njobs: {}", r"types\.0\.levels"),
        ("types: []\njobs: {l0: {mandatory: [GIP_VIEDIR]}}", "GIP_VIEDIR is not among the types"),
        ("types: [{name: GIP_VIEDIR, levels: [L0]}, {name: GIP_VIEDIR, levels: [L1]}]\njobs: {}", "each once"),
        ("types: [", "YAML"),
    ],
)
def test_a_wrong_table_is_refused_by_its_field(tmp_path: Path, text: str, named_field: str) -> None:
    path = tmp_path / "types.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=named_field):
        load_types(path)


# the set ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("job", ["l0u", "l0c", "l1", "l2"])
def test_a_whole_set_misses_nothing(job: str) -> None:
    names = whole(job)
    found = select(requirements(TABLE, job), by_type(*names), "S2A", WINDOW)
    assert not found.missing
    assert not found.without
    assert set(found.files) == {name.text for name in names}


def test_files_of_another_satellite_are_not_for_this_one_and_those_of_all_are() -> None:
    wanted = [Requirement(type="GIP_DATATI")]
    other = named("GIP_DATATI", satellite="S2B", band="00")
    assert select(wanted, by_type(other), "S2A", WINDOW).missing
    common = named("GIP_DATATI", satellite="S2_", band="00")
    assert select(wanted, by_type(other, common), "S2A", WINDOW).files == (common.text,)


def test_one_band_that_is_not_there_is_missing_alone() -> None:
    names = [named("GIP_R2DEFI", satellite="S2A", band=band) for band in BANDS if band != "8A"]
    wanted = [each for each in requirements(TABLE, "l1") if each.type == "GIP_R2DEFI"]
    found = select(wanted, by_type(*names), "S2A", WINDOW)
    assert [str(choice.requirement) for choice in found.missing] == ["GIP_R2DEFI B8A"]
    assert len(found.files) == 12


def test_a_requirement_may_look_beyond_the_window() -> None:
    file = named(start=0.5, stop=1.5)
    wanted = Requirement(type="AUX_ECMWFD", before_s=0.5 * 86400)
    assert select([wanted], by_type(file), "S2A", WINDOW).files == (file.text,)
    assert select([wanted.model_copy(update={"before_s": 43201})], by_type(file), "S2A", WINDOW).missing
    assert select([wanted.model_copy(update={"after_s": 43200})], by_type(file), "S2A", WINDOW).missing


def test_the_set_is_a_document_that_says_what_was_passed_over() -> None:
    names = [named(start=start, stop=start + 1, created=start) for start in range(-20, 0)]
    found = select([Requirement(type="AUX_ECMWFD")], by_type(*names), "S2A", WINDOW)
    assert AuxiliarySet.model_validate_json(found.model_dump_json()) == found
    (choice,) = found.missing
    assert (len(choice.passed_over), choice.others) == (TOLD, 20)
    assert choice.passed_over[0].name == names[-1].text


def test_of_the_real_catalogue_the_latest_is_chosen_for_each_band(real_data: Path) -> None:
    answer = json.loads((real_data / "auxiliary" / "catalogue_answer.json").read_text())
    names = [AuxiliaryName.parse(item["productName"]) for item in answer]
    wanted = [each for each in requirements(TABLE, "l0c") if each.type == "GIP_VIEDIR"]
    found = select(wanted, by_type(*names), "S2A", Window(day(0), day(0.1)))
    assert not found.missing
    assert all("_MPC__20151117T1310" in name for name in found.files)
    assert sum(choice.others for choice in found.choices) == 33 - 13
    early = select(wanted, by_type(*names), "S2A", Window(day(-2485), day(-2485)))  # 2015-06-24, before most begin
    assert [choice.requirement.band for choice in early.missing] == ["03", "05", "08"]


# the decision -------------------------------------------------------------------------------------------------
RULES = WaitRules(
    default=WaitRule(wait_s=600),
    types={
        "AUX_ECMWFD": WaitRule(wait_s=900, then="fall-back", fallback="LatestValidity"),
        "AUX_CAMSFO": WaitRule(wait_s=300, then="go-on"),
    },
)
SINCE = day(2)


def ask(seconds: float, names: Iterable[AuxiliaryName], job: str = "l1", rules: WaitRules = RULES) -> AuxiliaryDecision:
    return decide(
        requirements(TABLE, job),
        by_type(*names),
        "S2A",
        WINDOW,
        since=SINCE,
        now=SINCE + timedelta(seconds=seconds),
        rules=rules,
    )


def without(*kinds: str, job: str = "l1") -> list[AuxiliaryName]:
    return [name for name in whole(job) if name.type not in kinds]


def test_with_all_files_the_job_runs_at_once() -> None:
    decision = ask(0, whole("l1"))
    assert (decision.action, decision.reason, len(decision.chosen.files)) == ("run", "", 150)


def test_a_missing_file_is_awaited_to_its_own_deadline() -> None:
    decision = ask(899, without("AUX_ECMWFD"))
    assert (decision.action, decision.until) == ("wait", SINCE + timedelta(seconds=900))
    assert decision.reason == "AUX_ECMWFD is awaited"


def test_what_is_awaited_says_until_when_and_what_then() -> None:
    decision = ask(0, without("AUX_ECMWFD", "AUX_CAMSFO", "GIP_DATATI"))
    told = {each.wanted.type: str(each) for each in decision.awaited}
    assert told == {
        "AUX_CAMSFO": "AUX_CAMSFO (LatestValCover) until 2022-04-15T00:05:00Z, then it goes on without",
        "AUX_ECMWFD": "AUX_ECMWFD (LatestValCover) until 2022-04-15T00:15:00Z, then it takes what LatestValidity "
        "chooses, or is parked",
        "GIP_DATATI": "GIP_DATATI (LatestValCover) until 2022-04-15T00:10:00Z, then it is parked",
    }
    assert [each.wanted.type for each in ask(600, without("AUX_ECMWFD", "AUX_CAMSFO")).awaited] == ["AUX_ECMWFD"]


def test_a_warning_is_what_was_done_for_a_mandatory_file_or_one_with_a_rule_of_its_own() -> None:
    assert ask(300, without("AUX_CAMSFO")).warnings == (
        "AUX_CAMSFO: none by LatestValCover within 300 s, gone on without",
    )
    optional = without("GIP_L2ACAC", job="l2")
    assert ask(0, optional, job="l2").warnings == ()
    assert len(ask(60, optional, "l2", WaitRules(types={"GIP_L2ACAC": WaitRule(wait_s=60)})).warnings) == 1


def test_past_its_deadline_the_older_file_is_taken_and_it_is_said() -> None:
    older = named("AUX_ECMWFD", start=-3, stop=-1)
    decision = ask(900, [*without("AUX_ECMWFD"), older])
    assert decision.action == "run"
    assert older.text in decision.chosen.files
    assert decision.reason == "AUX_ECMWFD: none by LatestValCover within 900 s, fallen back to LatestValidity"
    (choice,) = [c for c in decision.chosen.choices if c.requirement.type == "AUX_ECMWFD"]
    assert choice.policy == "LatestValidity"


def test_where_there_is_nothing_to_fall_back_to_the_job_is_parked() -> None:
    decision = ask(900, without("AUX_ECMWFD"))
    assert decision.action == "park"
    assert decision.reason == "AUX_ECMWFD: none by LatestValCover within 900 s, none by LatestValidity either"


def test_the_job_goes_on_without_what_it_may_go_without() -> None:
    decision = ask(300, without("AUX_CAMSFO"))
    assert decision.action == "run"
    assert decision.reason == "AUX_CAMSFO: none by LatestValCover within 300 s, gone on without"


def test_nobody_falls_back_while_another_file_is_still_awaited() -> None:
    decision = ask(899, [*without("AUX_ECMWFD", "AUX_CAMSFO")])
    assert (decision.action, decision.until) == ("wait", SINCE + timedelta(seconds=900))
    assert decision.reason == "AUX_ECMWFD is awaited"


def test_what_is_lost_for_good_parks_while_others_are_awaited() -> None:
    decision = ask(600, without("GIP_DATATI", "AUX_ECMWFD"))
    assert decision.action == "park"
    assert decision.reason == "GIP_DATATI: none by LatestValCover within 600 s, parked as configured"


def test_of_a_missing_band_the_older_one_of_that_band_is_taken() -> None:
    rules = WaitRules(default=WaitRule(wait_s=0, then="fall-back"))
    names = [name for name in whole("l1") if not (name.type == "GIP_VIEDIR" and name.band == "05")]
    older = named("GIP_VIEDIR", start=-9, stop=-8, satellite="S2A", band="05")
    decision = ask(0, [*names, older], rules=rules)
    assert decision.action == "run"
    assert older.text in decision.chosen.files
    assert "GIP_VIEDIR B05" in decision.reason


def test_optional_files_are_neither_awaited_nor_do_they_park() -> None:
    decision = ask(0, without("GIP_L2ACAC", job="l2"), job="l2")
    assert decision.action == "run"
    assert [choice.requirement.type for choice in decision.chosen.without] == ["GIP_L2ACAC"]
    named_rule = WaitRules(types={"GIP_L2ACAC": WaitRule(wait_s=60)})
    assert ask(59, without("GIP_L2ACAC", job="l2"), "l2", named_rule).action == "wait"
    assert ask(60, without("GIP_L2ACAC", job="l2"), "l2", named_rule).action == "run"
