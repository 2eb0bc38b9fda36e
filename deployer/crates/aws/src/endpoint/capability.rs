//! The capability table: the support of each product for the features that the deployer uses, and the deployer's fallback.
//!
//! Sources: LocalStack's documentation ("CloudFormation", "Elastic Container Registry", "Elastic Load Balancing") and the
//! source of localstack-core 2026.3.0; ministack 1.5.33 and moto 5.2.5, both tried. LocalStack's paid plans were not tried.

use std::fmt;

use serde::Serialize;

use super::{Endpoint, EndpointKind};

/// A feature that the deployer uses and that not every endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// Outputs of stacks that are created through change sets.
    Outputs,
    /// Events by operation, `DescribeEvents`.
    OperationEvents,
    /// `CancelUpdateStack`.
    CancelUpdate,
    /// `ContinueUpdateRollback`.
    ContinueRollback,
    /// `DetectStackDrift`.
    Drift,
    /// An error for a resource type that the endpoint does not implement.
    RejectsUnknownTypes,
    /// `UPDATE_ROLLBACK_COMPLETE` after a failed update.
    UpdateRollbackStatus,
    /// ECS tasks and databases that really run.
    RunsTasks,
    /// A registry at the URI that ECR returns.
    RegistryAtUri,
    /// A load balancer that listens on its listener's port.
    LoadBalancerPort,
    /// `ManageMasterUserPassword` of RDS.
    ManagedDatabasePasswords,
    /// Kafka brokers with TLS and IAM.
    BrokersWithIam,
    /// The account of the credentials, not a fixed one.
    OwnAccount,
    /// Templates in S3.
    LargeTemplates,
}

/// The support for a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", content = "condition", rename_all = "snake_case")]
pub enum Support {
    /// The product has it.
    #[serde(rename = "has")]
    Yes,
    /// The product lacks it.
    #[serde(rename = "lacks")]
    No,
    /// The product has it under this condition.
    #[serde(rename = "when")]
    Conditional(&'static str),
    /// It was not tried.
    Unverified,
}

/// One row of the table.
#[derive(Debug)]
pub struct CapabilityRow {
    /// The feature of this row.
    pub capability: Capability,
    /// A noun phrase for the table of `deployer doctor`.
    pub description: &'static str,
    localstack: Support,
    ministack: Support,
    moto: Support,
    /// The deployer's behaviour without it.
    pub fallback: &'static str,
}

use Support::{Conditional, No, Unverified, Yes};

/// The table, in the order in which it is shown.
pub const CAPABILITIES: [CapabilityRow; 14] = [
    CapabilityRow {
        capability: Capability::Outputs,
        description: "outputs of stacks that are created through change sets",
        localstack: Yes,
        ministack: Yes,
        moto: No,
        fallback: "`up` stops before it starts, because stacks take their parameters from outputs of others",
    },
    CapabilityRow {
        capability: Capability::OperationEvents,
        description: "events by operation (DescribeEvents)",
        localstack: No,
        ministack: Yes,
        moto: No,
        fallback: "events are read with DescribeStackEvents, which every endpoint supports",
    },
    CapabilityRow {
        capability: Capability::CancelUpdate,
        description: "cancelling an update (CancelUpdateStack)",
        localstack: No,
        ministack: Yes,
        moto: No,
        fallback: "`up` waits until a failing update ends by itself",
    },
    CapabilityRow {
        capability: Capability::ContinueRollback,
        description: "continuing a failed rollback (ContinueUpdateRollback)",
        localstack: No,
        ministack: Yes,
        moto: No,
        fallback: "`unstick` can only delete the stack, after a confirmation",
    },
    CapabilityRow {
        capability: Capability::Drift,
        description: "drift detection (DetectStackDrift)",
        localstack: No,
        ministack: Yes,
        moto: No,
        fallback: "`diff` compares templates and cannot find manual changes",
    },
    CapabilityRow {
        capability: Capability::RejectsUnknownTypes,
        description: "rejecting unknown resource types",
        localstack: Conditional("CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES=0"),
        ministack: Yes,
        moto: No,
        fallback: "`up` lists resources that are reported complete and do not exist",
    },
    CapabilityRow {
        capability: Capability::UpdateRollbackStatus,
        description: "UPDATE_ROLLBACK_COMPLETE as the last status of a failed update",
        localstack: No,
        ministack: Yes,
        moto: No,
        fallback: "a stack in ROLLBACK_COMPLETE counts as a failed creation only if it was never complete",
    },
    CapabilityRow {
        capability: Capability::RunsTasks,
        description: "running ECS tasks and databases",
        localstack: Conditional("a plan with ECS and RDS, and Docker"),
        ministack: Conditional("Docker"),
        moto: No,
        fallback: "`up` reports that no service is running; `up --stacks-only` stops once the stacks are complete",
    },
    CapabilityRow {
        capability: Capability::RegistryAtUri,
        description: "a registry at the repository's URI",
        localstack: Yes,
        ministack: No,
        moto: No,
        fallback: "images are pushed to the endpoint itself if it has a registry, else not at all",
    },
    CapabilityRow {
        capability: Capability::LoadBalancerPort,
        description: "a load balancer on its listener's port",
        localstack: No,
        ministack: No,
        moto: No,
        fallback: "requests go through the endpoint's own port",
    },
    CapabilityRow {
        capability: Capability::ManagedDatabasePasswords,
        description: "database passwords managed by RDS (MasterUserSecret)",
        localstack: Unverified,
        ministack: No,
        moto: No,
        fallback: "the data stack generates a secret",
    },
    CapabilityRow {
        capability: Capability::BrokersWithIam,
        description: "brokers with TLS and IAM",
        localstack: Unverified,
        ministack: No,
        moto: No,
        fallback: "`up` rejects kafka.security = \"msk-iam\" and names the setting",
    },
    CapabilityRow {
        capability: Capability::OwnAccount,
        description: "the credentials' own account",
        localstack: No,
        ministack: No,
        moto: No,
        fallback: "no name or ARN is derived from the account number",
    },
    CapabilityRow {
        capability: Capability::LargeTemplates,
        description: "templates of more than 51,200 bytes, through S3",
        localstack: Yes,
        ministack: Yes,
        moto: Unverified,
        fallback: "a template that is too large for a request is an error, with its size",
    },
];

impl CapabilityRow {
    fn support(&self, kind: EndpointKind) -> Support {
        match kind {
            EndpointKind::Aws | EndpointKind::Embedded => Yes,
            EndpointKind::LocalStack => self.localstack,
            EndpointKind::Ministack => self.ministack,
            EndpointKind::Moto => self.moto,
            EndpointKind::Other => Unverified,
        }
    }
}

impl Endpoint {
    /// Returns the support of one product.
    pub fn support(&self, capability: Capability) -> Support {
        let row = CAPABILITIES.iter().find(|row| row.capability == capability);
        row.map_or(Unverified, |row| self.row_support(row))
    }

    /// Returns the table's support, unless the endpoint itself lists the service as missing.
    fn row_support(&self, row: &CapabilityRow) -> Support {
        match row.capability {
            Capability::LargeTemplates if self.lists("s3") == Some(false) => No,
            _ => row.support(self.kind),
        }
    }

    /// Returns whether it certainly lacks the capability.
    pub fn lacks(&self, capability: Capability) -> bool {
        self.support(capability) == No
    }

    /// Returns the capabilities that this endpoint lacks, or has under a condition only.
    pub fn gaps(&self) -> impl Iterator<Item = (Support, &'static CapabilityRow)> {
        CAPABILITIES
            .iter()
            .map(|row| (self.row_support(row), row))
            .filter(|(support, _)| *support != Yes)
    }
}

/// As in `running ECS tasks: only with Docker`.
impl fmt::Display for Support {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Yes => f.write_str("yes"),
            No => f.write_str("no"),
            Conditional(condition) => write!(f, "only with {condition}"),
            Unverified => f.write_str("not verified"),
        }
    }
}
