"""A Sphinx extension: a figure's picture is told to those who do not see it by the words of its caption."""

from typing import Any

from docutils import nodes


def describe_pictures(app: Any, doctree: nodes.document, _: str) -> None:  # noqa: ANN401 - Sphinx names no type
    """Give every picture without an alternative text the caption of the figure that it stands in."""
    for figure in doctree.findall(nodes.figure):
        captions = list(figure.findall(nodes.caption))
        for image in figure.findall(nodes.image):
            if captions and not image.get("alt"):
                image["alt"] = captions[0].astext()


def setup(app: Any) -> dict[str, bool]:  # noqa: ANN401 - Sphinx calls it
    """Register with Sphinx."""
    app.connect("doctree-resolved", describe_pictures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
