"""How claims are judged: bounds from data/claims.yaml, estimates from runs, and the verdict of an interval."""
