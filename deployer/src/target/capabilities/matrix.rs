//! The capability matrix: what each kind of endpoint does of what deployer uses, and what deployer does where it does not.
//!
//! Sources: LocalStack's documentation ("CloudFormation", "Elastic Container Registry", "Elastic Load Balancing") and the
//! source of localstack-core 2026.3.0; ministack 1.5.33 and moto 5.2.5, both tried. What is written of LocalStack's paid
//! plans was read, not tried.

use std::fmt;

use serde::Serialize;

use super::identity::{Identity, Kind};

/// Something that deployer uses and that not every endpoint has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    Outputs,
    OperationEvents,
    CancelUpdate,
    ContinueRollback,
    Drift,
    HonestTypes,
    HonestRollback,
    TasksRun,
    RegistryAtItsUri,
    LoadBalancerAtItsPort,
    ManagedCredentials,
    BrokersWithIam,
    OwnAccount,
    LargeTemplates,
}

/// How far an endpoint has a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", content = "condition", rename_all = "snake_case")]
pub enum Standing {
    Has,
    Lacks,
    /// Only under this condition.
    When(&'static str),
    /// Nobody has looked.
    Unverified,
}

/// One line of the matrix.
#[derive(Debug)]
pub struct Row {
    pub capability: Capability,
    /// What it is, in words.
    pub what: &'static str,
    localstack: Standing,
    ministack: Standing,
    moto: Standing,
    /// What deployer does where it is lacking.
    pub instead: &'static str,
}

use Standing::{Has, Lacks, Unverified, When};

pub const MATRIX: [Row; 14] = [
    Row {
        capability: Capability::Outputs,
        what: "outputs of stacks that are made through change sets",
        localstack: Has,
        ministack: Has,
        moto: Lacks,
        instead: "`up` refuses to begin, since stacks take their parameters from outputs of others",
    },
    Row {
        capability: Capability::OperationEvents,
        what: "events by operation (DescribeEvents)",
        localstack: Lacks,
        ministack: Has,
        moto: Lacks,
        instead: "events are read with DescribeStackEvents, which every endpoint has",
    },
    Row {
        capability: Capability::CancelUpdate,
        what: "cancelling an update (CancelUpdateStack)",
        localstack: Lacks,
        ministack: Has,
        moto: Lacks,
        instead: "an update that cannot succeed is waited for until it ends by itself",
    },
    Row {
        capability: Capability::ContinueRollback,
        what: "continuing a failed rollback (ContinueUpdateRollback)",
        localstack: Lacks,
        ministack: Has,
        moto: Lacks,
        instead: "`unstick` can only delete the stack, after asking",
    },
    Row {
        capability: Capability::Drift,
        what: "drift detection (DetectStackDrift)",
        localstack: Lacks,
        ministack: Has,
        moto: Lacks,
        instead: "`diff` compares templates, and what was changed by hand stays unseen",
    },
    Row {
        capability: Capability::HonestTypes,
        what: "refusing resource types that it does not know",
        localstack: When("CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES=0"),
        ministack: Has,
        moto: Lacks,
        instead: "after `up`, resources that are complete and do not exist are named",
    },
    Row {
        capability: Capability::HonestRollback,
        what: "UPDATE_ROLLBACK_COMPLETE as the end of a failed update",
        localstack: Lacks,
        ministack: Has,
        moto: Lacks,
        instead: "a stack in ROLLBACK_COMPLETE is taken for a failed creation only if it was never complete",
    },
    Row {
        capability: Capability::TasksRun,
        what: "running ECS tasks and databases",
        localstack: When("a plan with ECS and RDS, and Docker"),
        ministack: When("Docker"),
        moto: Lacks,
        instead: "`up` says that nothing serves, and `up --stacks-only` is content with complete stacks",
    },
    Row {
        capability: Capability::RegistryAtItsUri,
        what: "a registry at the repository's URI",
        localstack: Has,
        ministack: Lacks,
        moto: Lacks,
        instead: "images are pushed to the endpoint itself where it has a registry, else not at all",
    },
    Row {
        capability: Capability::LoadBalancerAtItsPort,
        what: "a load balancer on its listener's port",
        localstack: Lacks,
        ministack: Lacks,
        moto: Lacks,
        instead: "it is asked through the endpoint's own port",
    },
    Row {
        capability: Capability::ManagedCredentials,
        what: "passwords of databases that RDS keeps (MasterUserSecret)",
        localstack: Unverified,
        ministack: Lacks,
        moto: Lacks,
        instead: "the password is a generated secret of the data stack",
    },
    Row {
        capability: Capability::BrokersWithIam,
        what: "brokers that ask for TLS and IAM",
        localstack: Unverified,
        ministack: Lacks,
        moto: Lacks,
        instead: "`up` refuses kafka.security = \"msk-iam\" and names the setting",
    },
    Row {
        capability: Capability::OwnAccount,
        what: "the credentials' own account",
        localstack: Lacks,
        ministack: Lacks,
        moto: Lacks,
        instead: "nothing is derived from the account's number",
    },
    Row {
        capability: Capability::LargeTemplates,
        what: "templates of more than 51,200 bytes, through S3",
        localstack: Has,
        ministack: Has,
        moto: Unverified,
        instead: "a template that is too large for a request is refused, with its size",
    },
];

impl Row {
    fn standing(&self, kind: Kind) -> Standing {
        match kind {
            Kind::Aws | Kind::Embedded => Has,
            Kind::LocalStack => self.localstack,
            Kind::Ministack => self.ministack,
            Kind::Moto => self.moto,
            Kind::Other => Unverified,
        }
    }
}

impl Identity {
    pub fn standing(&self, capability: Capability) -> Standing {
        let row = MATRIX.iter().find(|row| row.capability == capability);
        row.map_or(Unverified, |row| self.stands(row))
    }

    /// What the table says, unless the endpoint itself says that it has no such service.
    fn stands(&self, row: &Row) -> Standing {
        match row.capability {
            Capability::LargeTemplates if self.lists("s3") == Some(false) => Lacks,
            _ => row.standing(self.kind),
        }
    }

    /// Whether it certainly does not do this.
    pub fn lacks(&self, capability: Capability) -> bool {
        self.standing(capability) == Lacks
    }

    /// What this endpoint does not do, or not surely: standing, capability in words, and what is done instead.
    pub fn gaps(&self) -> impl Iterator<Item = (Standing, &'static Row)> {
        MATRIX
            .iter()
            .map(|row| (self.stands(row), row))
            .filter(|(standing, _)| *standing != Has)
    }
}

/// As in `running ECS tasks: only with Docker`.
impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Has => f.write_str("yes"),
            Lacks => f.write_str("no"),
            When(condition) => write!(f, "only with {condition}"),
            Unverified => f.write_str("not verified"),
        }
    }
}
