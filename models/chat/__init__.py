"""Chat models: they answer, and say how probable an answer is. Captioners and judges are prompts over them."""
