"""Runs other projects' linters on what the chart renders: kubeconform, kube-score, promtool and Grafana's schema."""
