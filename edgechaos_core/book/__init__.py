"""The executable paper: chapters executed with their parameters, figures, and the site made of them."""
