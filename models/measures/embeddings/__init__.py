"""Measures of what encoders make of pictures: cosines, drift of attention, places in the plane."""
