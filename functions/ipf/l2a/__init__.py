"""Surface reflectance and scene classification of one tile, from its L1C product, ours or an operational one."""
