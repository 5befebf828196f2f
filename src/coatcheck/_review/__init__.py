"""Review: prompt templates."""
