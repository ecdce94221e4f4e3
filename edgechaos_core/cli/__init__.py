"""The commands: thin doors to everything else, each with one line for what goes wrong. A module a command, or two.

Options, and what is printed. Whatever could be called without a command line stands in another folder.
"""
