"""The experiment database: schema, items, lineage, pins, tracking.

The only room that talks SQL or MLflow. Stages write to it, reports read from it, and it knows neither.
"""
