"""Figures: geometry and colours as plain data, which the templates only draw."""
