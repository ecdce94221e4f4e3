"""The computer that it runs on: where things are, what machine this is, signals, isolated processes, progress, YAML.

The ground floor. Nothing here knows what is computed.
"""
