"""The HTTP API, jobs and web page that serve planner and generator together. May import planners and dysenvdm.

A server is three kinds of processes that know each other only through the job store (:mod:`serving.jobs`) and the
folder of results: the API, planner workers and generator workers. Any of them may be killed and started again at any
moment, and there may be several of each, on one machine (SQLite) or on many (PostgreSQL).
"""
