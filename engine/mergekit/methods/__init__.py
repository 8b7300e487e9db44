"""mergekit's methods, one file each."""
