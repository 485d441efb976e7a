"""Every figure of the course: a module per notebook, all drawn with `lib.plots.style`."""
