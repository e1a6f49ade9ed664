"""Runs other projects' linters on what the chart renders: kubeconform, kube-score, promtool, Grafana's schema and checkov."""
