"""A network of your own under the microscope: `report` measures it and returns a `Report`, which is one page."""

from labkit.report.building import Report, report

__all__ = ["Report", "report"]
