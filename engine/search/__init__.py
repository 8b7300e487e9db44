"""Ask and tell: which recipes to evaluate next."""
