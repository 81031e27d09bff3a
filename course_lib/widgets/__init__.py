"""Widgets for the course's pages: each works with a kernel, and without one."""

from course_lib.widgets.attention_heatmap import AttentionHeatmap
from course_lib.widgets.base import CourseWidget
from course_lib.widgets.bottleneck_explorer import BottleneckExplorer
from course_lib.widgets.qkv_calculator import QKVCalculator

__all__ = ["AttentionHeatmap", "BottleneckExplorer", "CourseWidget", "QKVCalculator"]
