//! The AWS account of an environment: where it may be deployed, and with which rights.

use super::file::Settings;
use super::problem::Problem;
use super::region::{Partition, is_region};

/// The account, the region and the rights with which an environment is deployed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// The account ID; a deployment to another account is refused.
    pub id: Option<String>,
    /// The region; a deployment to another region is refused.
    pub region: Option<String>,
    /// The ARN of the managed policy that is the permissions boundary of every role.
    pub permissions_boundary: Option<String>,
    /// The ARN of the role with which CloudFormation works, in place of the caller's session.
    pub cloudformation_role: Option<String>,
}

impl Account {
    /// Returns what is written, and the first problem with its key.
    pub(super) fn parse(settings: &Settings) -> (Self, Option<(&'static [&'static str], Problem)>) {
        let account = Self {
            id: settings.account.clone(),
            region: settings.region.clone(),
            permissions_boundary: settings.permissions_boundary.clone(),
            cloudformation_role: settings.cloudformation.role_arn.clone(),
        };
        let problem = account.problem();
        (account, problem)
    }

    fn problem(&self) -> Option<(&'static [&'static str], Problem)> {
        if let Some(id) = self.id.as_ref().filter(|id| !is_account(id)) {
            return Some((&["account"], Problem::Account(id.clone())));
        }
        if let Some(region) = self.region.clone().filter(|region| !is_region(region)) {
            return Some((&["region"], Problem::Region(region)));
        }
        if let Some(region) = &self.region
            && let Some(partition) = Partition::unsupported(region)
        {
            let region = region.clone();
            return Some((&["region"], Problem::Partition { region, partition }));
        }
        if let Some(arn) = self.permissions_boundary.clone().filter(|arn| !is_iam(arn, "policy")) {
            return Some((&["permissions_boundary"], Problem::IamArn { arn, kind: "policy" }));
        }
        let role = self.cloudformation_role.clone().filter(|arn| !is_iam(arn, "role"));
        role.map(|arn| {
            let key: &[&str] = &["cloudformation", "role_arn"];
            (key, Problem::IamArn { arn, kind: "role" })
        })
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.chars().all(|c| c.is_ascii_digit())
}

/// Returns true for `arn:PARTITION:iam::ACCOUNT:KIND/NAME`; a managed policy of AWS has `aws` as its account.
fn is_iam(arn: &str, kind: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [prefix, partition, "iam", "", account, resource] = parts[..] else {
        return false;
    };
    let name = resource.strip_prefix(kind).and_then(|rest| rest.strip_prefix('/'));
    prefix == "arn"
        && partition.starts_with("aws")
        && (is_account(account) || (kind == "policy" && account == "aws"))
        && name.is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_of_iam_has_account_and_name() {
        assert!(is_iam("arn:aws:iam::111122223333:role/team/cloudformation", "role"));
        assert!(is_iam("arn:aws:iam::aws:policy/PowerUserAccess", "policy"));
        for wrong in [
            "cloudformation",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::aws:role/a",
            "arn:aws:iam:eu-west-1:111122223333:role/a",
            "arn:aws:iam::111122223333:policy/a",
        ] {
            assert!(!is_iam(wrong, "role"), "{wrong}");
        }
    }
}
