"""What a grader's report is: its schemas, its signature checked, its exports."""
