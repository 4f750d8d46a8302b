"""`python -m dashboards`: writes Grafana's, Prometheus' and Alertmanager's files, or checks them."""

from __future__ import annotations

from dashboards.command import dashboards

if __name__ == "__main__":
    dashboards(prog_name="python -m dashboards")
