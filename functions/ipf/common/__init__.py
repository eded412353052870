"""What the open processors share: how one is called, who made a product, packets with annotations, XML."""
