"""The executable paper: chapters executed with their parameters, figures, frozen outputs, and the site made of them.

What a chapter computes does not stand here: it calls `analysis`, `claims` and `guideline` for that. The chapters
themselves are in ``chapters/``.
"""
