"""L0C: one unconsolidated datastrip becomes Level-0 products, datastrip and granules, with their metadata."""
