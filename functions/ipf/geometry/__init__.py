"""The geometry as processors take it: the sensor model of a datastrip, the ground, and places on it."""

from shared.geometry.model import Ground, SensorModel
from shared.geometry.terrain import Terrain

__all__ = ["Ground", "SensorModel", "Terrain"]
