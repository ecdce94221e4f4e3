"""Pictures are told to those who do not see them."""

from docutils import nodes
from docutils.utils import new_document

from edgechaos_core.book.alt_texts import describe_pictures


def test_a_picture_without_words_takes_its_figures_caption():
    page = new_document("page")
    bare, told = nodes.image(uri="a.svg"), nodes.image(uri="b.svg", alt="a map")
    page += nodes.figure("", bare, nodes.caption("", "The path of training."))
    page += nodes.figure("", told, nodes.caption("", "Another."))
    describe_pictures(None, page, "page")
    assert (bare["alt"], told["alt"]) == ("The path of training.", "a map")
