//! What can be known to be wrong before anything is asked: rules over the plan and its templates. Pure.

mod limits;
mod network;
mod reachability;
mod references;

use serde::Serialize;

use crate::manifest::Manifest;
use crate::stacks::Plan;
use cfn::schema;
use cfn::template;

/// Something that would fail, or not work, once deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The stack's short name.
    pub stack: String,
    /// The resource, output or parameter.
    pub place: String,
    pub what: String,
}

/// Every finding, stack by stack: properties against the types' schemas, references, a network path for every link,
/// and none for anything else.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<Finding> {
    let mut findings = Vec::new();
    for stack in &plan.stacks {
        let mut note = |place: &str, what: String| {
            findings.push(Finding {
                stack: stack.short.clone(),
                place: place.to_owned(),
                what,
            });
        };
        for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
            let kind = resource["Type"].as_str().unwrap_or_default();
            if schema::of(kind).is_none() {
                note(
                    name,
                    format!("{kind} is no resource type that is known here; scripts/resource-schemas adds it"),
                );
            }
            for fault in schema::check(kind, &resource["Properties"]) {
                note(name, format!("{}: {}", fault.path, fault.what));
            }
        }
        references::check(stack, &mut note);
        limits::check(stack, &mut note);
        let bytes = stack.template.to_string().len();
        if bytes > template::LARGEST {
            let most = template::LARGEST;
            note(
                "the template",
                format!("it has {bytes} bytes, CloudFormation takes {most}; another project can take some of it"),
            );
        }
    }
    findings.extend(network::check(manifest, plan));
    findings.extend(reachability::check(manifest, plan));
    findings
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn plan(environment: &str) -> (Manifest, Plan) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../deployer.toml");
        let manifest = Manifest::load(&path, environment).expect("the manifest");
        let plan = crate::stacks::plan(&manifest);
        (manifest, plan)
    }

    fn told(manifest: &Manifest, plan: &Plan) -> Vec<String> {
        check(manifest, plan)
            .into_iter()
            .map(|f| format!("{}/{}: {}", f.stack, f.place, f.what))
            .collect()
    }

    #[test]
    fn the_platform_of_this_repository_breaks_no_rule() {
        for environment in ["dev", "prod"] {
            let (manifest, plan) = plan(environment);
            assert_eq!(told(&manifest, &plan), Vec::<String>::new(), "{environment}");
        }
    }

    #[test]
    fn a_rule_that_is_missing_is_a_link_without_a_path() {
        let (manifest, mut plan) = plan("dev");
        let network = plan
            .stacks
            .iter_mut()
            .find(|stack| stack.short == "network")
            .expect("the stack");
        let resources = network.template["Resources"].as_object_mut().expect("resources");
        resources.shift_remove("PatientServiceToBillingServicePort9001Ingress");
        assert_eq!(
            told(&manifest, &plan),
            [
                "network/BillingServiceSecurityGroup: patient-service calls billing-service (grpc), but the group takes nothing from PatientServiceSecurityGroup on tcp 9001"
            ]
        );
    }

    #[test]
    fn a_reference_to_nothing_and_a_wrong_type_are_found() {
        let (manifest, mut plan) = plan("dev");
        let stack = plan
            .stacks
            .iter_mut()
            .find(|stack| stack.short == "billing-service")
            .expect("the stack");
        stack.template["Resources"]["LogGroup"]["Properties"]["RetentionInDays"] = json!("long");
        stack.template["Resources"]["LogGroup"]["Properties"]["KmsKeyId"] =
            json!({"Fn::Sub": "${Key.Arn}-${LogGroup.Colour}"});
        assert_eq!(
            told(&manifest, &plan),
            [
                "billing-service/LogGroup: RetentionInDays: must be integer",
                "billing-service/LogGroup: Key.Arn: the template has no Key",
                "billing-service/LogGroup: AWS::Logs::LogGroup has no attribute Colour",
            ]
        );
    }
}
