"""What one page of the book states of its runs: its numbers, in words, and its tables; a module a page, by its name.

Figures stand in `book.figures`, what several pages or the claims measure in `analysis` and `claims.estimates`.
"""
