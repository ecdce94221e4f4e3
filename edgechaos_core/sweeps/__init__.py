"""From a grid of settings to stored runs: what is missing, who trains it, and whether what is stored is true."""
