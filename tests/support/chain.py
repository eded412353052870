"""A datastrip of 16 scenes by 12 detectors on 18 tiles, and the modes of the chain in their order."""

from __future__ import annotations

from shared.tasktable import Expansion, Facts, Run, Scheme, expand

SCENES = 16
STAMP = "20221124T163650"
DATASTRIP = f"S2B_OPER_MSI_L0__DS_REFS_{STAMP}_S20221011T064025_N02.08"
TILE = f"S2B_OPER_MSI_L1C_TL_REFS_{STAMP}_A029232_T40MDV_N04.00"
GRANULES = tuple(
    f"DB1/S2B_OPER_MSI_L0__GR_REFS_{STAMP}_S20221011T0640{25 + 2 * scene:02d}_D{detector:02d}_N02.08"
    for scene in range(SCENES)
    for detector in range(1, 13)
)
FACTS = Facts(
    granules={"001": SCENES},
    tiles=18,
    gri_images=24,
    segments=1,
    instances=4,
    datastrip_names=(DATASTRIP,),
    granule_names=GRANULES,
    tile_names=(TILE,),
    sensing={TILE: "2022-10-11T06:40:25.000Z"},
)
BEFORE = {
    "L0": "",
    "OLQC_L0DS": "L0",
    "OLQC_L0GR": "L0",
    "L1A": "",
    "L1AFormatDS": "L1A",
    "L1AFormatGR": "L1A",
    "L1BNoGRI": "L1A",
    "L1B": "L1A",
    "OLQC_L1BDS": "L1B",
    "L1BFormatGR": "L1B",
    "L1CTile": "L1B",
    "OLQC_L1CDS": "L1B",
    "OLQC_L1CTL": "L1CTile",
}


def sources(scheme: Scheme) -> dict[str, tuple[str, ...]]:
    """A path for every type that the chain takes from outside: 13 files for GIP_VIEDIR, one of each other GIPP."""
    found: dict[str, tuple[str, ...]] = {"PDI_L0U": ("/in/DS/ANC_DATA",)}
    for mode in scheme.modes:
        for pool in scheme.table(mode).pools:
            for alternative in (needed.alternative for task in pool.tasks for needed in task.inputs):
                name = alternative.file_type
                if alternative.origin == "DB" and name not in scheme.kept:
                    files = 13 if name == "GIP_VIEDIR" else 1
                    paths = tuple(f"/aux/S2IPF-GIPP/S2B_OPER_{name}_B{band:02d}.xml" for band in range(files))
                    found[name] = paths if name.startswith("GIP_") else (f"/aux/{name}",)
    # the files of GIP_R2EQOB are named GIP_R2EOB2
    found["GIP_R2EOB2"] = found.pop("GIP_R2EQOB")
    return found


def run_of(scheme: Scheme, mode: str) -> Run:
    return Run(
        mode,
        f"/work/{mode}",
        "SGS_",
        "REFS",
        "2022-11-24T16:36:50Z",
        ("20221011T064025", "20221011T064119"),
        sources(scheme),
        tile="001" if "TILE" in scheme.mode(mode).by else "",
    )


def expand_all(scheme: Scheme, facts: Facts = FACTS) -> dict[str, Expansion]:
    done: dict[str, Expansion] = {}
    for mode, before in BEFORE.items():
        history = done[before].history if before else ()
        done[mode] = expand(scheme, run_of(scheme, mode), facts, history)
    return done
