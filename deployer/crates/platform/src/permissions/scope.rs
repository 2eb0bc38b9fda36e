//! Resources of actions: by the environment's name wherever a name has it.

use crate::stacks::Plan;

/// Characters of a stack's name with which every generated name begins. CloudFormation shortens it in the name of a role, which
/// has at most 64 characters with the logical ID and a random suffix (CloudFormation User Guide: "Name type").
const GENERATED: usize = 24;

/// A set of actions of one service and the ARNs to which they are limited.
pub struct Rule {
    service: &'static str,
    /// The last part of the statement's ID.
    pub sid: &'static str,
    matches: fn(&str) -> bool,
    /// Only resources of the environment's stacks: CloudFormation tags them with the stack's name.
    pub tagged: bool,
    /// ARNs without `arn:PARTITION:`. `{p}` is the environment's prefix, `{g}` that of generated names, `{r}` the region, `{a}`
    /// the account.
    pub resources: &'static [&'static str],
    /// ARNs of what `deployer` itself uses, and no stack.
    pub own: &'static [&'static str],
}

impl Rule {
    /// Returns the ARNs for what `deployer` itself does, or for what the stacks contain, or for both.
    pub fn arns(&self, own: bool, stacks: bool) -> impl Iterator<Item = &'static str> {
        // Where the rule does not tell them apart, they are the same.
        let stacks = stacks || self.own.is_empty();
        let of_stacks = self.resources.iter().filter(move |_| stacks);
        of_stacks.chain(self.own.iter().filter(move |_| own)).copied()
    }
}

/// The first rule that matches decides; an action without a rule has no resource with a name, or lists what exists.
const RULES: &[Rule] = &[
    Rule {
        service: "acm",
        sid: "Certificates",
        tagged: false,
        own: &[],
        // AWS chooses a certificate's ID; `RequestCertificate` has no resource.
        matches: |name| !matches!(name, "ListCertificates" | "RequestCertificate"),
        resources: &["acm:{r}:{a}:certificate/*"],
    },
    Rule {
        service: "cloudformation",
        sid: "Stacks",
        tagged: false,
        own: &[],
        matches: |name| {
            !matches!(
                name,
                "DescribeStackDriftDetectionStatus" | "DescribeStacks" | "ListStacks" | "ValidateTemplate"
            )
        },
        resources: &[
            "cloudformation:{r}:{a}:stack/{p}-*/*",
            "cloudformation:{r}:{a}:changeSet/*",
        ],
    },
    Rule {
        service: "cloudwatch",
        sid: "Dashboards",
        tagged: false,
        own: &[],
        matches: |name| name.contains("Dashboard"),
        // Dashboards are global: their ARNs have no region.
        resources: &["cloudwatch::{a}:dashboard/{p}*"],
    },
    Rule {
        service: "cloudwatch",
        sid: "Alarms",
        tagged: false,
        own: &[],
        matches: |name| name != "DescribeAlarms" && !name.starts_with("GetMetric"),
        // Application Auto Scaling names the alarms of its policies `TargetTracking-…`.
        resources: &[
            "cloudwatch:{r}:{a}:alarm:{p}-*",
            "cloudwatch:{r}:{a}:alarm:TargetTracking-*",
        ],
    },
    Rule {
        service: "ecr",
        sid: "Repositories",
        tagged: false,
        own: &[],
        matches: |name| name != "GetAuthorizationToken" && name != "DescribeRepositories",
        resources: &["ecr:{r}:{a}:repository/{p}/*"],
    },
    Rule {
        service: "ecs",
        sid: "Services",
        tagged: false,
        own: &[],
        matches: |name| {
            !name.starts_with("List")
                && !name.starts_with("Put")
                && !name.contains("TaskDefinition")
                && name != "CreateCluster"
                || matches!(
                    name,
                    "ListTagsForResource" | "ListServiceDeployments" | "PutClusterCapacityProviders"
                )
        },
        resources: &[
            "ecs:{r}:{a}:cluster/{p}",
            "ecs:{r}:{a}:service/{p}/*",
            "ecs:{r}:{a}:service-deployment/{p}/*",
            "ecs:{r}:{a}:task/{p}/*",
            "ecs:{r}:{a}:task-definition/{p}-*:*",
        ],
    },
    Rule {
        service: "iam",
        sid: "LinkedRolesAndRoles",
        tagged: false,
        own: &[],
        matches: |name| name == "GetRole",
        resources: &["iam::{a}:role/{g}*", "iam::{a}:role/aws-service-role/*"],
    },
    Rule {
        service: "iam",
        sid: "Roles",
        tagged: false,
        own: &[],
        matches: |name| name != "ListRoles",
        resources: &["iam::{a}:role/{g}*"],
    },
    Rule {
        service: "kafka-cluster",
        sid: "Topics",
        tagged: false,
        own: &[],
        matches: |_| true,
        resources: &[
            "kafka:{r}:{a}:cluster/{p}/*",
            "kafka:{r}:{a}:topic/{p}/*",
            "kafka:{r}:{a}:group/{p}/*",
        ],
    },
    Rule {
        service: "logs",
        sid: "LogGroups",
        tagged: false,
        own: &[],
        matches: |name| {
            // Those of index policies have no resource in the list of parliament 1.6.4, which `scripts/lint-permissions` compares.
            let of_account = ["LogDeliver", "ResourcePolic", "IndexPolic"];
            name != "DescribeLogGroups" && !of_account.iter().any(|part| name.contains(part))
        },
        resources: &[
            "logs:{r}:{a}:log-group:/ecs/{p}/*",
            "logs:{r}:{a}:log-group:/aws/*/{p}*",
            "logs:{r}:{a}:log-group:{p}-*",
        ],
    },
    Rule {
        service: "route53",
        sid: "Records",
        tagged: false,
        own: &[],
        matches: |name| {
            matches!(
                name,
                "ChangeResourceRecordSets" | "GetChange" | "GetHostedZone" | "ListResourceRecordSets"
            )
        },
        // Cloud Map's zone has an ID of AWS's own, and so has a change.
        resources: &["route53:::hostedzone/*", "route53:::change/*"],
    },
    Rule {
        service: "s3",
        sid: "Buckets",
        tagged: false,
        own: &["s3:::deployer-templates-{a}-{r}", "s3:::deployer-templates-{a}-{r}/*"],
        matches: |_| true,
        resources: &["s3:::{g}*"],
    },
    Rule {
        service: "secretsmanager",
        sid: "Values",
        tagged: true,
        own: &[],
        // Names of secrets begin with their logical ID, not with the stack's name.
        matches: |name| name == "GetSecretValue",
        resources: &["secretsmanager:{r}:{a}:secret:*"],
    },
    Rule {
        service: "sns",
        sid: "Topics",
        tagged: false,
        own: &[],
        matches: |name| name != "Unsubscribe" && !name.contains("Subscription"),
        resources: &["sns:{r}:{a}:{p}-*"],
    },
    Rule {
        service: "ssm",
        sid: "Parameters",
        tagged: false,
        own: &[],
        matches: |name| name != "DescribeParameters",
        resources: &[
            "ssm:{r}:{a}:parameter/deployer/{p}",
            "ssm:{r}:{a}:parameter/deployer/{p}/*",
        ],
    },
];

/// The values of an environment in ARNs.
pub struct Names {
    partition: &'static str,
    prefix: String,
    generated: String,
    region: String,
    account: String,
}

impl Names {
    /// Returns the names of a plan in a region; without one, ARNs match every region.
    pub fn new(plan: &Plan, region: Option<&str>) -> Self {
        let prefix = format!("{}-{}", plan.project, plan.environment);
        Self {
            partition: partition(region),
            generated: format!("{prefix}-").chars().take(GENERATED).collect(),
            prefix,
            region: region.unwrap_or("*").to_owned(),
            account: plan.account.id.clone().unwrap_or_else(|| "*".into()),
        }
    }

    /// Returns the pattern of the environment's stack names.
    pub fn stacks(&self) -> String {
        format!("{}-*", self.prefix)
    }

    /// Returns an ARN of `{p}`, `{g}`, `{r}` and `{a}`.
    pub fn arn(&self, resource: &str) -> String {
        let resource = resource
            .replace("{p}", &self.prefix)
            .replace("{g}", &self.generated)
            .replace("{r}", &self.region)
            .replace("{a}", &self.account);
        format!("arn:{}:{resource}", self.partition)
    }
}

/// Returns the partition of a region: AWS's European Sovereign Cloud has its own.
fn partition(region: Option<&str>) -> &'static str {
    match region {
        Some(region) if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

/// Returns the rule of an action; `None` for every resource.
pub fn rule(service: &str, name: &str) -> Option<&'static Rule> {
    RULES
        .iter()
        .find(|rule| rule.service == service && (rule.matches)(name))
}
