"""Which runs are trained: the paper's protocols, the book's own, and the searches and contests made of them."""
