//! IAM policies that a deployment requires.
//!
//! CloudFormation acts with the caller's permissions, or with those of a role. A resource type's provider schema ("handlers")
//! lists those that it requires, so the policy follows from the templates; `forwarded` lists what services do in the caller's name
//! besides, `operations` what `deployer` itself calls, `scope` the resources of actions. Pure.

mod forwarded;
mod iam_action;
mod operations;
mod scope;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::stacks::Plan;
use cfn::schema;
use forwarded::{FORWARDED, applies};
use iam_action::iam_action;
use operations::{PUSH, READ};
use scope::{Names, Rule, rule};

pub use operations::OWN_OPERATIONS;

/// Maximum size of a managed policy, in characters without white space (IAM User Guide: "IAM and AWS STS quotas").
pub const MAX_MANAGED_POLICY: usize = 6144;

/// Services whose endpoints serve all regions (AWS General Reference: "AWS services with global endpoints"), and MSK's authorizer of
/// Kafka clients, whose condition keys do not include the region (Service Authorization Reference: Apache Kafka APIs for Amazon MSK
/// clusters); the ARNs of its actions have it.
const GLOBAL: &[&str] = &["iam", "kafka-cluster", "pricing", "route53", "sts"];

/// Services with which a resource type can work, and with which no stack lets it work: their actions are not required.
const UNUSED: &[(&str, &[&str])] = &[
    ("AWS::CertificateManager::Certificate", &["acm-pca"]),
    (
        "AWS::WAFv2::WebACLAssociation",
        &[
            "amplify",
            "apigateway",
            "apprunner",
            "appsync",
            "bedrock-agentcore",
            "cognito-idp",
            "ec2",
        ],
    ),
];

/// Actions that IAM checks against `iam:PermissionsBoundary` and that could give a role more rights (Service Authorization
/// Reference: AWS Identity and Access Management).
const BOUNDED: &[&str] = &[
    "AttachRolePolicy",
    "CreateRole",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
];

/// The principal of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// The caller of `deployer`. Without `cloudformation.role_arn`, CloudFormation works with the caller's rights.
    Caller,
    /// The role of `cloudformation.role_arn`, with which CloudFormation creates the resources.
    CloudFormationRole,
}

/// Returns the statements, by service and by the resources to which actions are limited; with a `region`, or one that the manifest
/// names, those of regional services apply to that region alone.
pub fn statements(plan: &Plan, principal: Principal, region: Option<&str>) -> Vec<Value> {
    let region = region.or(plan.account.region.as_deref());
    let names = Names::new(plan, region);
    let mut actions = Actions::default();
    let role = plan.account.cloudformation_role.as_deref();
    actions.of_stacks = principal == Principal::CloudFormationRole || role.is_none();
    actions.own = principal == Principal::Caller;
    if actions.of_stacks {
        actions.of_resources(plan);
    }
    if actions.own {
        actions.of_deployer();
    }
    let mut statements = actions.statements(plan, &names, region);
    statements.extend(linked_roles(plan, &names));
    if let Some(role) = role.filter(|_| principal == Principal::Caller) {
        statements.push(pass(role, &BTreeSet::from(["cloudformation.amazonaws.com"])));
        return statements;
    }
    let users: BTreeSet<&str> = resources_of(plan).flat_map(assumed_by).collect();
    if !users.is_empty() {
        statements.push(pass(&names.arn("iam::{a}:role/{g}*"), &users));
    }
    statements
}

/// Returns the statement that passes roles to AWS services.
fn pass(roles: &str, users: &BTreeSet<&str>) -> Value {
    json!({
        "Sid": "PassRoles",
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": roles,
        "Condition": { "StringEquals": { "iam:PassedToService": users } },
    })
}

/// Returns the statement that creates the service-linked roles of a new account; `None` if no resource has one.
fn linked_roles(plan: &Plan, names: &Names) -> Option<Value> {
    let services: BTreeSet<String> = resources_of(plan).flat_map(forwarded::linked_roles).collect();
    (!services.is_empty()).then(|| {
        json!({
            "Sid": "ServiceLinkedRoles",
            "Effect": "Allow",
            "Action": "iam:CreateServiceLinkedRole",
            "Resource": names.arn("iam::{a}:role/aws-service-role/*"),
            "Condition": { "StringEquals": { "iam:AWSServiceName": services } },
        })
    })
}

/// Actions by service, without those that have a separate statement.
#[derive(Default)]
struct Actions {
    /// They include those on the resources of the stacks.
    of_stacks: bool,
    /// They include those that `deployer` itself calls.
    own: bool,
    services: BTreeMap<String, BTreeSet<String>>,
    /// KMS's actions with the data of a key, by the AWS service that calls them in the caller's name.
    through: BTreeMap<&'static str, BTreeSet<&'static str>>,
}

impl Actions {
    /// Adds the actions that creating, reading, updating and deleting the resources requires.
    fn of_resources(&mut self, plan: &Plan) {
        for resource in resources_of(plan) {
            let resource_type = resource["Type"].as_str().unwrap_or_default();
            let unused = UNUSED.iter().find(|(name, _)| *name == resource_type);
            let unused = unused.map_or(&[][..], |(_, services)| services);
            let all = schema::of(resource_type)
                .into_iter()
                .flat_map(|schema| schema.permissions());
            for action in all.filter(|action| !unused.iter().any(|service| action.starts_with(&format!("{service}:"))))
            {
                self.allow(action);
            }
            for row in FORWARDED.iter().filter(|row| applies(row, resource)) {
                if let Some(service) = row.via {
                    self.through.entry(service).or_default().extend(row.actions);
                    continue;
                }
                for action in row.actions {
                    self.allow(action);
                }
            }
        }
    }

    /// Adds the operations that `deployer` itself calls.
    fn of_deployer(&mut self) {
        for (service, names) in OWN_OPERATIONS.iter().chain(&[("ecr", PUSH), ("s3", READ)]) {
            for name in *names {
                self.allow(&format!("{service}:{name}"));
            }
        }
    }

    fn allow(&mut self, action: &str) {
        match iam_action(action) {
            // Roles are passed to the services that assume them, and linked roles belong to services, by one statement each.
            Some((service, name)) if service == "iam" && (name == "PassRole" || name == "CreateServiceLinkedRole") => {}
            Some((service, name)) => drop(self.services.entry(service).or_default().insert(name)),
            None => {}
        }
    }

    fn statements(&self, plan: &Plan, names: &Names, region: Option<&str>) -> Vec<Value> {
        let mut statements = Vec::new();
        for (service, actions) in &self.services {
            let mut scopes: BTreeMap<&str, (Option<&Rule>, Vec<&str>)> = BTreeMap::new();
            for name in actions {
                let rule = rule(service, name);
                let scope = scopes.entry(rule.map_or("", |rule| rule.sid)).or_default();
                scope.0 = rule;
                scope.1.push(name);
            }
            for (suffix, (rule, actions)) in scopes {
                let resource = rule.map_or_else(
                    || json!("*"),
                    |rule| {
                        rule.arns(self.own, self.of_stacks)
                            .map(|resource| names.arn(resource))
                            .collect()
                    },
                );
                let [bounded, others] = bounded(plan, service, &actions);
                for (suffix, actions, boundary) in [
                    (suffix.to_owned(), others, None),
                    (
                        format!("Bounded{suffix}"),
                        bounded,
                        plan.account.permissions_boundary.as_deref(),
                    ),
                ] {
                    if actions.is_empty() {
                        continue;
                    }
                    let actions: Vec<String> = actions.iter().map(|name| format!("{service}:{name}")).collect();
                    let mut statement = json!({
                        "Sid": format!("{}{suffix}", sid(service)),
                        "Effect": "Allow",
                        "Action": actions,
                        "Resource": resource,
                    });
                    if rule.is_some_and(|rule| rule.tagged) {
                        statement["Condition"]["StringLike"]["aws:ResourceTag/aws:cloudformation:stack-name"] =
                            names.stacks().into();
                    }
                    if let Some(boundary) = boundary {
                        statement["Condition"]["StringEquals"]["iam:PermissionsBoundary"] = boundary.into();
                    }
                    if let Some(region) = region.filter(|_| !GLOBAL.contains(&service.as_str())) {
                        statement["Condition"]["StringEquals"]["aws:RequestedRegion"] = region.into();
                    }
                    statements.push(statement);
                }
            }
        }
        for (service, actions) in &self.through {
            let via = format!("{service}.{}.amazonaws.com", region.unwrap_or("*"));
            statements.push(json!({
                "Sid": format!("Kms{}", sid(service)),
                "Effect": "Allow",
                "Action": actions,
                "Resource": "*",
                "Condition": { "StringLike": { "kms:ViaService": via } },
            }));
        }
        statements
    }
}

/// Returns the actions that must set or keep the permissions boundary, and the others (IAM User Guide: "Permissions boundaries for
/// IAM entities", delegating responsibility). Removing the boundary is not allowed at all.
fn bounded<'a>(plan: &Plan, service: &str, actions: &[&'a str]) -> [Vec<&'a str>; 2] {
    if service != "iam" || plan.account.permissions_boundary.is_none() {
        return [Vec::new(), actions.to_vec()];
    }
    let kept = actions.iter().filter(|name| **name != "DeleteRolePermissionsBoundary");
    let (bounded, others) = kept.partition(|name| BOUNDED.contains(name));
    [bounded, others]
}

/// Returns the statements as policy documents that are small enough for managed policies.
pub fn documents(statements: Vec<Value>) -> Vec<Value> {
    let size = |statement: &Value| statement.to_string().len() + 1;
    let available = MAX_MANAGED_POLICY - policy(&[]).to_string().len();
    let mut documents: Vec<Vec<Value>> = Vec::new();
    let mut used = 0;
    for statement in statements {
        if documents.is_empty() || used + size(&statement) > available {
            documents.push(Vec::new());
            used = 0;
        }
        used += size(&statement);
        if let Some(last) = documents.last_mut() {
            last.push(statement);
        }
    }
    documents.iter().map(|statements| policy(statements)).collect()
}

/// Returns a policy document of these statements.
pub fn policy(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn resources_of(plan: &Plan) -> impl Iterator<Item = &Value> {
    let templates = plan.stacks.iter().map(|stack| &stack.template["Resources"]);
    templates.filter_map(Value::as_object).flat_map(|all| all.values())
}

/// Returns the services that may assume this resource, if it is a role.
fn assumed_by(resource: &Value) -> Vec<&str> {
    let statements = resource["Properties"]["AssumeRolePolicyDocument"]["Statement"].as_array();
    let principals = statements.into_iter().flatten().map(|s| &s["Principal"]["Service"]);
    principals
        .flat_map(|service| match service {
            Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect()
}

/// Returns `ApplicationAutoscaling` for `application-autoscaling`: a statement ID has letters and digits alone.
fn sid(service: &str) -> String {
    let parts = service.split('-').map(|part| {
        let mut characters = part.chars();
        let first = characters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    });
    parts.collect()
}

#[cfg(test)]
mod tests;
