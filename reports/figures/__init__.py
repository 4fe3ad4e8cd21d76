"""What is drawn: geometry and colours of every figure as plain data; the templates only draw it."""
