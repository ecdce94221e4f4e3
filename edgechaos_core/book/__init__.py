"""The executable paper: chapters executed with their parameters, frozen outputs, and the site made of them.

What one page alone states stands in `book.pages`, its figures in `book.figures`; what is measured for more than one in
`analysis`, `claims` and `guideline`. The chapters themselves are in ``chapters/``.
"""
