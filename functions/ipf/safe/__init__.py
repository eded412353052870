"""Formats that the open processors share: JPEG 2000, the compact SAFE and its metadata, the L1B working folder."""
