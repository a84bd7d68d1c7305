"""The HTTP API, jobs and web page that serve planner and generator together. May import planners and dysenvdm."""
