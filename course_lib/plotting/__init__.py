"""What a notebook shows: arrays in, Axes out, and never a figure without alt text."""

from course_lib.plotting.figure import show, use_course_style
from course_lib.plotting.heatmap import draw_weights
from course_lib.plotting.source import print_source

__all__ = ["draw_weights", "print_source", "show", "use_course_style"]
