"""The pages: layout, tables, exports, and what every page shares."""
