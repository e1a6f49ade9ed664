{{/* Fail for values that contradict each other and for a conflicting release; all problems are reported at once. */}}
{{- define "keeper-injector.refuseProblems" -}}
{{- $problems := include "keeper-injector.problems" . | fromYamlArray -}}
{{- $problems = concat $problems (include "keeper-injector.otherReleases" . | fromYamlArray) -}}
{{- if $problems }}{{ fail (printf "\n%s" (join "\n" $problems)) }}{{ end -}}
{{- end }}

{{- define "keeper-injector.problems" -}}
{{- $v := .Values -}}
{{- if and (eq $v.tls.mode "secret") (not $v.tls.secretName) }}
- "tls.secretName: empty, but tls.mode is secret; set it to the name of a Secret with tls.crt and tls.key"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.secretName }}
- "tls.secretName: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or remove it"
{{- end }}
{{- if and (ne $v.tls.mode "secret") $v.tls.caBundle }}
- "tls.caBundle: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=secret, or remove it"
{{- end }}
{{- if and (ne $v.tls.mode "cert-manager") $v.tls.certManager.issuerRef }}
- "tls.certManager.issuerRef: set, but tls.mode is {{ $v.tls.mode }}; set tls.mode=cert-manager, or remove it"
{{- end }}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) }}
- "serviceAccount.name: empty, but serviceAccount.create is false; set it to the name of an existing service account"
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
- "autoscaling.minReplicas: {{ $v.autoscaling.minReplicas }} is greater than autoscaling.maxReplicas; set a lower value"
{{- end }}
{{- if and $v.networkPolicy.enabled $v.hostNetwork }}
- "networkPolicy.enabled: true, but hostNetwork is true, and network policies have no effect on such pods; use the firewall of the nodes, and set networkPolicy.enabled=false"
{{- end }}
{{- if and (eq $v.envFiles "always") (eq (include "keeper-injector.envFilesPossible" .) "false") }}
- "envFiles: always, but the API server is {{ .Capabilities.KubeVersion.Version }}, which would drop the variables; set auto, or upgrade to Kubernetes 1.35 (helm template: set --kube-version)"
{{- end }}
{{- if and (or $v.kubernetesSecrets.serviceAccounts $v.kubernetesSecrets.secretNames) (not $v.kubernetesSecrets.namespaces) }}
- "kubernetesSecrets.namespaces: empty, so that no namespace gets the permission; list the namespaces"
{{- end }}
{{- if and $v.kubernetesSecrets.namespaces (not $v.kubernetesSecrets.serviceAccounts) }}
- "kubernetesSecrets.serviceAccounts: empty, so that every pod of {{ join ", " $v.kubernetesSecrets.namespaces }} would get the permission; list the service accounts that need it, such as {shop}"
{{- end }}
{{- end }}

{{/*
Report other releases that inject into the same pods: only the one whose name sorts first would inject. Releases may share a cluster if
namespaceSelector separates their namespaces. `helm template` does not see the cluster, so it cannot find other releases.
*/}}
{{- define "keeper-injector.otherReleases" -}}
{{- $mine := printf "%s/%s" .Release.Namespace .Release.Name -}}
{{- if not .Values.namespaceSelector }}
{{- range (lookup "admissionregistration.k8s.io/v1" "MutatingWebhookConfiguration" "" "").items }}
{{- $release := printf "%s/%s" (dig "annotations" "meta.helm.sh/release-namespace" "?" .metadata) (dig "annotations" "meta.helm.sh/release-name" "?" .metadata) }}
{{- $ours := eq (dig "labels" "app.kubernetes.io/part-of" "" .metadata) "keeper-injector" }}
{{- if and $ours (ne $release $mine) }}
- "MutatingWebhookConfiguration {{ .metadata.name }}: release {{ $release }} already injects into the same pods; uninstall it, or set namespaceSelector to the namespaces of this release"
{{- end }}
{{- end }}
{{- end }}
{{- end }}
