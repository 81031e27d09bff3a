"""What a notebook shows: arrays in, Axes out, and never a figure without alt text."""

from course_lib.plotting.accuracy import bin_names, draw_accuracy
from course_lib.plotting.figure import show, use_course_style
from course_lib.plotting.graph import draw_attention_graph
from course_lib.plotting.heatmap import draw_weights
from course_lib.plotting.seq2seq import draw_seq2seq
from course_lib.plotting.source import print_source

__all__ = [
    "bin_names",
    "draw_accuracy",
    "draw_attention_graph",
    "draw_seq2seq",
    "draw_weights",
    "print_source",
    "show",
    "use_course_style",
]
