"""The chapters of a report, each one module and one template."""
