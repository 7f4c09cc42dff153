"""Ways of narrowing the gap between a prior and photographs, measured."""
