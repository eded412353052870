"""Tables that the instrument and atmosphere models read, and the scripts that make them."""
