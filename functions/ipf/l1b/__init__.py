"""L0 granules to images of TOA reflectance in the geometry of the instrument, with geolocation, and the tile list."""
