"""Chat models: replies and their probabilities. Captioners and judges are prompts over them."""
