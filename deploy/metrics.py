"""What CloudWatch saw of a real-time endpoint."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from .account import Account
from .wanted import VARIANT

WANTED = {
    "invocations": ("Invocations", "Sum", 1.0),
    "latency": ("ModelLatency", "Average", 1000.0),  # CloudWatch has it in microseconds
    "latency_p95": ("ModelLatency", "p95", 1000.0),
}


def read(account: Account, name: str, hours: float = 1) -> dict[str, tuple[list[datetime], list[float]]]:
    """Per minute: invocations, and the model's latency in ms (average, p95)."""
    dimensions = [{"Name": "EndpointName", "Value": name}, {"Name": "VariantName", "Value": VARIANT}]
    now = datetime.now(UTC)
    results = account.client("cloudwatch").get_metric_data(
        StartTime=now - timedelta(hours=hours),
        EndTime=now + timedelta(minutes=1),
        ScanBy="TimestampAscending",
        MetricDataQueries=[
            {
                "Id": key,
                "MetricStat": {
                    "Metric": {"Namespace": "AWS/SageMaker", "MetricName": metric, "Dimensions": dimensions},
                    "Period": 60,
                    "Stat": stat,
                },
            }
            for key, (metric, stat, _) in WANTED.items()
        ],
    )["MetricDataResults"]
    return {
        row["Id"]: (list(row["Timestamps"]), [value / WANTED[row["Id"]][2] for value in row["Values"]])
        for row in results
    }
