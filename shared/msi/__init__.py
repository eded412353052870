"""The multispectral instrument: bands, packets, geometry, radiometry, tile grid, atmosphere."""
