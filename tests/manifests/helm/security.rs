//! Pods of the chart pass the pod security standard `restricted`, and the images run as a user that is not root.

use serde_json::{Value, json};

use super::{cases, helm3, objects, text};
use crate::read;

/// The pod specifications in an object.
fn pod(object: &Value) -> Option<&Value> {
    match text(object, "/kind") {
        "Pod" => object.pointer("/spec"),
        "Deployment" => object.pointer("/spec/template/spec"),
        _ => None,
    }
}

#[test]
fn every_pod_passes_the_restricted_standard() {
    let mut pods = 0;
    for (case, values) in cases() {
        for object in objects(&helm3(), &values) {
            let Some(pod) = pod(&object) else { continue };
            pods += 1;
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true, "{case}");
            assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault", "{case}");
            for host in ["hostNetwork", "hostPID", "hostIPC", "volumes", "initContainers"] {
                assert!(pod[host].is_null(), "{case}: {host}");
            }
            for container in pod["containers"].as_array().unwrap() {
                let context = &container["securityContext"];
                assert_eq!(context["allowPrivilegeEscalation"], false, "{case}");
                assert_eq!(context["readOnlyRootFilesystem"], true, "{case}");
                assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{case}");
                assert!(!container["resources"]["requests"].is_null(), "{case}: quotas need requests");
                assert!(!container["resources"]["limits"]["memory"].is_null(), "{case}: memory is bounded");
            }
        }
    }
    assert!(pods >= 7, "only {pods} pods");
}

#[test]
fn only_the_operator_gets_a_token() {
    for (case, values) in cases() {
        for object in objects(&helm3(), &values) {
            match text(&object, "/kind") {
                "ServiceAccount" => assert_eq!(object["automountServiceAccountToken"], false, "{case}"),
                "Pod" => assert_eq!(object["spec"]["automountServiceAccountToken"], false, "{case}"),
                "Deployment" => {
                    assert_eq!(object["spec"]["template"]["spec"]["automountServiceAccountToken"], true, "{case}");
                }
                _ => {}
            }
        }
    }
}

#[test]
fn images_are_distroless_and_run_as_a_numbered_user() {
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.contains("FROM gcr.io/distroless/cc-debian12:nonroot AS base\n"));
    assert!(dockerfile.contains("USER 65532:65532\n"));
    for (target, program) in [("operator", "/headgate-operator"), ("gateway", "/headgate-gateway")] {
        let stage = dockerfile.split(&format!("FROM base AS {target}\n")).nth(1).unwrap();
        assert!(stage.split("FROM ").next().unwrap().contains(&format!("ENTRYPOINT [\"{program}\"]")), "{target}");
    }
}
