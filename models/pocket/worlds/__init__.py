"""Generated worlds: pictures whose every object, attribute and relation is known."""
