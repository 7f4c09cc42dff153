"""Published generators: read weight files of known layouts, and fetch those that are published."""
