"""What the backend costs, next to bare SQL on the same engine and to InfluxDB.

Needs the backend's environment (`make .venv/ready`) and Linux: CPU time and
memory of other processes are read from /proc.
"""
