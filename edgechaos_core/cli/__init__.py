"""The commands: thin doors to everything else, each with one line for what goes wrong."""
