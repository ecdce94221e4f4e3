"""Examples in docstrings of modules whose library is not installed are no tests: extras are optional."""

from importlib.util import find_spec

collect_ignore = [
    f"edgechaos_core/integrations/{name}.py" for name in ("lightning", "transformers") if find_spec(name) is None
]
