"""The computer that it runs on: where things are, what machine this is, what asks to stop, processes in a clean
environment, progress bars, YAML.

The ground floor. Nothing here knows what is computed.
"""
