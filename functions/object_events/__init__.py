"""Store notifications in, CloudEvents out."""
