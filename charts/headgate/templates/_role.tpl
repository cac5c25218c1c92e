{{/* A Role and its binding to the operator, of (dict "namespace" … "name" … "rules" […] "root" $). */}}
{{- define "headgate.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "headgate.labels" .root | nindent 4 }}
rules:
{{- include "headgate.rules" (dict "rules" .rules "root" .root) }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "headgate.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
{{ include "headgate.subjects" .root }}
{{- end }}
