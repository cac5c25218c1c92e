{{/* Names, labels, images: what several templates need. */}}

{{- define "headgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "headgate.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "headgate.name" . -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "headgate.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "headgate.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name: name the ServiceAccount that serviceAccount.create=false leaves to you" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* A Deployment's selector can never change: nothing may be added here. */}}
{{- define "headgate.selectorLabels" -}}
app.kubernetes.io/name: headgate-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "headgate.labels" -}}
{{ include "headgate.selectorLabels" . }}
app.kubernetes.io/component: operator
{{ include "headgate.commonLabels" . }}
{{- end -}}

{{/* What also the objects of the test carry, which are not the operator's. */}}
{{- define "headgate.commonLabels" -}}
app.kubernetes.io/part-of: headgate
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- if not .Values.plainManifests }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* repository:tag or repository@digest of (dict "image" … "root" $). */}}
{{- define "headgate.image" -}}
{{- with .image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ default $.root.Chart.AppVersion .tag }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* RBAC rules as Kubernetes wants them, of (dict "rules" […] "root" $). */}}
{{- define "headgate.rules" -}}
{{- $leaseName := include "headgate.fullname" .root -}}
{{- range .rules }}
{{- if .nonResourceURLs }}
- nonResourceURLs: {{ toJson .nonResourceURLs }}
{{- else }}
- apiGroups: {{ toJson .apiGroups }}
  resources: {{ toJson .resources }}
{{- end }}
  {{- with .resourceNames }}
  resourceNames: {{ toJson . | replace "{leaseName}" $leaseName }}
  {{- end }}
  verbs: {{ keys .verbs | sortAlpha | toJson }}
{{- end }}
{{- end -}}

{{/* Who gets the operator's Roles. */}}
{{- define "headgate.subjects" -}}
- kind: ServiceAccount
  name: {{ include "headgate.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{- define "headgate.testNamespace" -}}
{{- $watched := .Values.watchNamespaces -}}
{{- if .Values.test.namespace -}}
{{ .Values.test.namespace }}
{{- else if or (not $watched) (has .Release.Namespace $watched) -}}
{{ .Release.Namespace }}
{{- else -}}
{{ first $watched }}
{{- end -}}
{{- end -}}

{{- define "headgate.testName" -}}
{{ printf "%s-test" (include "headgate.fullname" . | trunc 33 | trimSuffix "-") }}
{{- end -}}

{{- define "headgate.testLabels" -}}
app.kubernetes.io/name: headgate-test
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{ include "headgate.commonLabels" . }}
{{- end -}}
