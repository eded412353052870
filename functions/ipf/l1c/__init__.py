"""One L1C tile: L1B images resampled to the tile grid, as JPEG 2000 in a compact SAFE."""
