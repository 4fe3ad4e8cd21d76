"""What the loop needs of the registry: keys, items, objects, the schema, and where they are kept."""
