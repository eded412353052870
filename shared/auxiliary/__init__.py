"""Auxiliary data in the store: reading what is delivered, the catalogue, the folders that the IPFs expect."""
