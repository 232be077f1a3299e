"""The page that shows how a run went; `writing` makes it."""

REPORT_NAME = "report.html"
