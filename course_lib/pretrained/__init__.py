"""Real published weights in the course's own classes. Nothing here trains."""
