"""``python -m shared.rehearsal <folder>``: record a session there, from the bundled landscape or an image."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from shared.ccsds.link import SENTINEL2, LinkProfile
from shared.errors import BadInputError, S2psError
from shared.geometry.instrument import Instrument
from shared.geometry.terrain import Terrain
from shared.rehearsal.faults import FaultPlan, parse_fault
from shared.rehearsal.flight import fly
from shared.rehearsal.plan import DEMO_POSITION, DEMO_START, Datatake, SessionPlan, morning_over
from shared.rehearsal.scenes import scene_for
from shared.rehearsal.simulator import simulate_session


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--satellite", default="S2A", show_default=True)
@click.option("--start", help="First line, ISO 8601 with its zone; by default the demo's, elsewhere a summer's morning")
@click.option("--scenes", default=2, show_default=True, help="3.608 s each")
@click.option("--detectors", default="6,7", show_default=True)
@click.option("--position", help="Longitude,latitude of the centre; by default the image's, or the demo's")
@click.option("--orbit", default=57_405, show_default=True, help="Absolute orbit")
@click.option("--relative-orbit", default=65, show_default=True)
@click.option("--scene", "image", type=click.Path(path_type=Path, exists=True), help="L1C or L2A SAFE, or GeoTIFF")
@click.option(
    "--dem", type=click.Path(path_type=Path, exists=True), help="Folder of elevation tiles of the image's ground"
)
@click.option("--geoid", type=click.Path(path_type=Path, exists=True), help="Heights of the geoid, for --dem")
@click.option(
    "--relief", "relief_m", default=0.0, show_default=True, help="Height of the landscape's mountains, metres"
)
@click.option(
    "--along", type=click.Path(path_type=Path, exists=True), help="Metadata of a datastrip whose orbit is flown"
)
@click.option("--bulletin", type=click.Path(path_type=Path, exists=True), help="IERS Bulletin A")
@click.option(
    "--gipp", type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with GIP_VIEDIR and GIP_SPAMOD files: the instrument that is flown; a nominal one by default",
)  # fmt: skip
@click.option("--seed", default=1, show_default=True, help="Of the landscape, the noise and the faults")
@click.option("--noise", default=0.0, show_default=True, help="Standard deviation, counts")
@click.option("--chunk-mib", default=16, show_default=True)
@click.option("--link", default=str(SENTINEL2), show_default=True, help="Its coding, e.g. rs223-i5-dual")
@click.option("--housekeeping", is_flag=True, help="Telemetry for the control centre is sent too")
@click.option("--fault", "faults", multiple=True, help="e.g. corrupt:channel=1,frame=120,symbols=9; may be repeated")
def main(
    folder: Path,
    satellite: str,
    start: str | None,
    scenes: int,
    detectors: str,
    position: str | None,
    orbit: int,
    relative_orbit: int,
    image: Path | None,
    dem: Path | None,
    geoid: Path | None,
    relief_m: float,
    along: Path | None,
    bulletin: Path | None,
    gipp: Path | None,
    seed: int,
    noise: float,
    chunk_mib: int,
    link: str,
    housekeeping: bool,
    faults: tuple[str, ...],
) -> None:
    """Record a downlink session in FOLDER, and the truth about it in FOLDER.truth.json."""
    try:
        instrument = None if gipp is None else _instrument(gipp)
        chosen_detectors = tuple(int(text) for text in detectors.split(","))
        place = _pair(position) if position else None
        if along is not None:
            place = fly(Datatake(scenes=scenes, detectors=chosen_detectors, along=along), satellite).datatake.position
        terrain = None if dem is None else Terrain.from_files(dem, geoid)
        scene = scene_for(image, place or DEMO_POSITION, seed=seed, relief_m=relief_m, relief=terrain)
        elsewhere = place or scene.centre()
        morning = morning_over(elsewhere) if elsewhere else DEMO_START
        datatake = Datatake(
            start=datetime.fromisoformat(start) if start else morning,
            scenes=scenes,
            detectors=chosen_detectors,
            position=elsewhere or DEMO_POSITION,
            absolute_orbit=orbit,
            relative_orbit=relative_orbit,
            along=along,
            bulletin=bulletin,
        )
        plan = SessionPlan(
            satellite,
            (datatake,),
            chunk_bytes=chunk_mib << 20,
            profile=LinkProfile.parse(link),
            noise_dn=noise,
            seed=seed,
            instrument=instrument,
            housekeeping=housekeeping,
        )
        chosen = FaultPlan(tuple(parse_fault(text) for text in faults), seed)
        truth = simulate_session(plan, folder, scene=scene, faults=chosen)
    except (S2psError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{truth.folder}: {len(truth.files)} files, {sum(truth.packets.values())} packets")


def _instrument(folder: Path) -> Instrument:
    spacecraft = sorted(folder.rglob("*_GIP_SPAMOD_*.xml"))
    if len(spacecraft) != 1:
        raise BadInputError(str(folder), "one GIP_SPAMOD file", len(spacecraft))
    return Instrument.read(sorted(folder.rglob("*_GIP_VIEDIR_*.xml")), spacecraft[0])


def _pair(text: str) -> tuple[float, float]:
    lon, _, lat = text.partition(",")
    return float(lon), float(lat)


if __name__ == "__main__":
    main()
