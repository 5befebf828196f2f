"""Reviews: candidates, checks, score cards, ranking; prompt templates."""
