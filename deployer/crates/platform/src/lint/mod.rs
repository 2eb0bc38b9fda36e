//! Checks of the plan and its templates that need no AWS. Pure.

mod finding;
mod limits;
mod network;
mod reachability;
mod references;

use cfn::schema;
use cfn::template::MAX_BYTES;

pub use finding::{LintFinding, LintProblem};

use crate::manifest::Manifest;
use crate::stacks::Plan;

/// Returns every finding, stack by stack: properties against the types' schemas, references, limits, a network path for each
/// link, and no other path.
pub fn check(manifest: &Manifest, plan: &Plan) -> Vec<LintFinding> {
    let mut findings = Vec::new();
    for stack in &plan.stacks {
        let mut report = |location: &str, problem: LintProblem| {
            findings.push(LintFinding::new(&stack.short_name, location, problem));
        };
        for (name, resource) in stack.template["Resources"].as_object().into_iter().flatten() {
            let resource_type = resource["Type"].as_str().unwrap_or_default();
            if schema::of(resource_type).is_none() {
                report(name, LintProblem::UnknownType(resource_type.to_owned()));
            }
            for error in schema::validate(resource_type, &resource["Properties"]) {
                report(name, error.into());
            }
        }
        references::check(stack, &mut report);
        limits::check(stack, &mut report);
        let bytes = stack.template.to_string().len();
        if bytes > MAX_BYTES {
            report("Template", LintProblem::TemplateSize { bytes });
        }
    }
    findings.extend(network::check(manifest, plan));
    findings.extend(reachability::check(manifest, plan));
    findings
}

#[cfg(test)]
mod tests {
    use cfn::schema::{PropertyError, PropertyProblem};
    use serde_json::json;

    use super::*;
    use crate::testing::{plan_of, resources};

    #[test]
    fn the_plan_of_a_valid_manifest_has_no_finding() {
        for environment in ["dev", "prod"] {
            let (manifest, plan) = plan_of(environment);
            assert_eq!(check(&manifest, &plan), [], "{environment}");
        }
    }

    #[test]
    fn a_missing_rule_is_a_link_without_a_path() {
        let (manifest, mut plan) = plan_of("dev");
        resources(&mut plan, "network").shift_remove("WebToOrdersPort9001Ingress");
        let problem = LintProblem::MissingIngress {
            link: "web calls orders (grpc)".into(),
            peer: "WebSecurityGroup".into(),
            port: 9001,
        };
        assert_eq!(
            check(&manifest, &plan),
            [LintFinding::new("network", "OrdersSecurityGroup", problem)]
        );
    }

    #[test]
    fn a_dangling_reference_and_a_wrong_type_are_found() {
        let (manifest, mut plan) = plan_of("dev");
        let group = &mut resources(&mut plan, "orders")["LogGroup"]["Properties"];
        group["RetentionInDays"] = json!("long");
        group["KmsKeyId"] = json!({"Fn::Sub": "${Key.Arn}-${LogGroup.Colour}"});
        let problems = [
            LintProblem::Property(PropertyError {
                path: "RetentionInDays".into(),
                problem: PropertyProblem::WrongType(vec!["integer".into()]),
            }),
            LintProblem::UnknownResource {
                resource: "Key".into(),
                attribute: "Arn".into(),
            },
            LintProblem::UnknownAttribute {
                resource_type: "AWS::Logs::LogGroup".into(),
                attribute: "Colour".into(),
            },
        ];
        let expected = problems.map(|problem| LintFinding::new("orders", "LogGroup", problem));
        assert_eq!(check(&manifest, &plan), expected);
    }

    #[test]
    fn each_problem_has_its_message() {
        let (link, peer, port) = (
            "web calls orders (grpc)".to_owned(),
            "WebSecurityGroup".to_owned(),
            9001,
        );
        let (from, protocol) = ("Web".to_owned(), "tcp");
        let (resource, attribute) = ("Key".to_owned(), "Arn".to_owned());
        let all = [
            LintProblem::UnknownType("AWS::SNS::Mine".into()),
            LintProblem::TemplateSize { bytes: 1_000_001 },
            LintProblem::SectionSize {
                section: "resources".into(),
                count: 501,
                max: 500,
                paths: false,
            },
            LintProblem::SectionSize {
                section: "resources".into(),
                count: 501,
                max: 500,
                paths: true,
            },
            LintProblem::UnknownName("Key".into()),
            LintProblem::UnknownResource { resource, attribute },
            LintProblem::UnknownAttribute {
                resource_type: "AWS::Logs::LogGroup".into(),
                attribute: "Colour".into(),
            },
            LintProblem::UnknownCondition("IsProd".into()),
            LintProblem::UnknownMapping("Sizes".into()),
            LintProblem::UnknownDependency("Key".into()),
            LintProblem::UnfilledParameter,
            LintProblem::MissingIngress {
                link: link.clone(),
                peer: peer.clone(),
                port,
            },
            LintProblem::MissingEgress { link, peer, port },
            LintProblem::UndeclaredPath {
                from: from.clone(),
                protocol,
                port,
            },
            LintProblem::ClosedPort { from, protocol, port },
            LintProblem::UnclearRule,
            LintProblem::UnclearComponent,
            LintProblem::UnmodelledType("AWS::EC2::VPCPeeringConnection".into()),
            LintProblem::NotIsolated,
        ];
        let all = all.map(|problem| LintFinding::new("network", "Here", problem).to_string());
        insta::assert_snapshot!(all.join("\n"));
    }
}
