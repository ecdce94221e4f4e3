"""Which runs are trained: the paper's protocols and the book's own as named grids, searches, and comparisons of ways.

Settings in, settings out, or runs that another folder obtains. How a grid is trained stands in `sweeps`, how a search
or a comparison is told in `book.pages`.
"""
