"""A Sphinx extension: buttons to a page's source and to its notebook, once _config.yml names a repository."""

from typing import Any

LAUNCH = {"colab_url": "https://colab.research.google.com", "binderhub_url": "https://mybinder.org"}


def add_buttons(_: Any, config: Any) -> None:  # noqa: ANN401 - Sphinx names no type
    """Switch the theme's buttons on where there is an address to point at; none is dead before."""
    options = config.html_theme_options
    if options.get("repository_url"):
        options |= {"use_repository_button": True, "use_source_button": True}
        options["launch_buttons"] = options.get("launch_buttons", {}) | LAUNCH


def setup(app: Any) -> dict[str, bool]:  # noqa: ANN401 - Sphinx calls it
    """Register with Sphinx."""
    app.connect("config-inited", add_buttons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
